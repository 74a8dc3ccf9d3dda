"""Redis goes away and comes back: hooks go on answering, outcomes wait in the spool and count exactly once."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable

import pytest
from support import PrivateRedis, wait_until
from swarm_support import make_swarm, outcomes_in, run_program, some_outcome, start_program

from swarm.errors import CapacityError, StoreUnavailableError
from swarm.services.background import Background
from swarm.services.receipts import ReceiptState
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.store.connection import connect
from swarm.wire.records import decode_trajectory, encode_trajectory
from swarm_agents import Agent, Spool, delivery

NewAgent = Callable[..., Agent]
MANY = 2000


@pytest.fixture
def own_swarm(own_settings: Settings) -> Swarm:
    """The swarm on the Redis that is killed; it knows two answers."""
    swarm = make_swarm(own_settings, connect(own_settings))
    swarm.store_pattern("decode a JSON document", "json")
    swarm.store_pattern("match a pattern in a string", "re")
    Background(own_settings).drain(0.0)
    return swarm


def spool_of(settings: Settings, agent: str = "coder-1") -> Spool:
    path = settings.state_dir / "spool" / settings.name / f"{agent}.sqlite"
    return Spool(path, settings.spool_max_bytes)


def order(swarm: Swarm, agent: str = "coder-1") -> list[str]:
    """Trajectory ids in the order of the stream."""
    return [decode_trajectory(record).id for _, record in swarm.outcomes(agent).read_after("0-0", 10_000)]


def assert_exact(swarm: Swarm, settings: Settings, count: int, agent: str = "coder-1") -> None:
    """After consolidation every outcome is in the bank once."""
    Background(settings).drain(0.0)
    state = swarm.agents.state(agent)
    assert (state.accepted, state.processed, state.dead) == (count, count, 0)
    assert outcomes_in(swarm.agents.clusters(agent)) == pytest.approx(count)
    tallies = [pattern.agents[agent].n for pattern in swarm.bank.patterns() if agent in pattern.agents]
    assert sum(tallies) == pytest.approx(count)


def test_while_redis_is_away_hooks_answer_from_what_they_last_saw(
    own_swarm: Swarm, own_redis: PrivateRedis, new_agent: NewAgent
) -> None:
    agent = new_agent()
    before = agent.before_task("decode a JSON document")
    assert before.is_fresh
    own_redis.kill()
    advice = agent.before_task("decode a JSON document")
    assert (advice.patterns, advice.is_fresh) == (before.patterns, False)
    # Both tasks end: the one begun before and the one begun since.
    for task in (before, advice):
        receipt = agent.after_task(task.trajectory_id, success=True, used=task.best)
        assert (receipt.state, receipt.is_new, receipt.stream_id) == (ReceiptState.SPOOLED, True, "")
        assert agent.receipt(receipt.idempotency_key).state is ReceiptState.SPOOLED
    health = agent.health()
    assert (health.spooled, health.open_tasks, health.instant_updates) == (2, 0, 2)
    assert health.redis_failures > 0
    assert "ConnectionError" in health.last_error


def test_what_was_spooled_is_replayed_once_in_order_and_becomes_searchable(
    own_swarm: Swarm, own_redis: PrivateRedis, own_settings: Settings, new_agent: NewAgent
) -> None:
    agent = new_agent()
    first = agent.before_task("decode JSON").trajectory_id
    agent.after_task(first, success=True, output="json")
    own_redis.kill()
    tasks = [agent.before_task(f"task {number}").trajectory_id for number in range(20)]
    receipts = [agent.after_task(task, success=True, output=f"answer {task}") for task in tasks]
    again = agent.after_task(
        agent.before_task("the same").trajectory_id, success=True, idempotency_key=receipts[3].idempotency_key
    )
    assert (again.state, again.is_new) == (ReceiptState.SPOOLED, False)
    own_redis.start()
    wait_until(agent.refresh, 30.0, "Redis to be back")
    assert agent.health().spooled == 0
    assert order(own_swarm) == [first, *tasks]
    last = agent.before_task("decode JSON").trajectory_id
    assert agent.after_task(last, success=True).state is ReceiptState.ACCEPTED
    assert_exact(own_swarm, own_settings, 22)
    assert {agent.receipt(receipt.idempotency_key).state for receipt in receipts} == {ReceiptState.SEARCHABLE}


def test_new_outcomes_queue_up_behind_those_that_wait(
    own_swarm: Swarm, own_redis: PrivateRedis, new_agent: NewAgent
) -> None:
    agent = new_agent()
    own_redis.kill()
    tasks = [agent.before_task(f"task {number}").trajectory_id for number in range(5)]
    for task in tasks[:4]:
        agent.after_task(task, success=True)
    own_redis.start()
    agent.breaker.succeeded()
    # This very report finds Redis back; it goes out behind the others.
    assert agent.after_task(tasks[4], success=True).state is ReceiptState.ACCEPTED
    assert order(own_swarm) == tasks


def test_an_outcome_that_arrived_but_was_not_acknowledged_counts_once(
    own_swarm: Swarm, own_redis: PrivateRedis, own_settings: Settings, new_agent: NewAgent
) -> None:
    agent = new_agent(socket_timeout=0.2)
    task = agent.before_task("decode JSON").trajectory_id
    own_redis.signal(signal.SIGSTOP)
    # The command lies in the frozen server's socket; the agent gives up on it.
    assert agent.after_task(task, success=True).state is ReceiptState.SPOOLED
    own_redis.signal(signal.SIGCONT)
    wait_until(agent.refresh, 30.0, "the spool to be replayed")
    assert order(own_swarm) == [task]
    assert_exact(own_swarm, own_settings, 1)


def test_an_agent_that_starts_while_redis_is_away_spools_and_registers_later(
    own_swarm: Swarm, own_redis: PrivateRedis, own_settings: Settings, new_agent: NewAgent
) -> None:
    own_redis.kill()
    agent = new_agent("late")
    advice = agent.before_task("decode JSON")
    assert (advice.patterns, advice.is_fresh) == ((), False)
    assert agent.after_task(advice.trajectory_id, success=True, output="json").state is ReceiptState.SPOOLED
    with pytest.raises(StoreUnavailableError):
        own_swarm.status()
    own_redis.start()
    wait_until(agent.refresh, 30.0, "Redis to be back")
    assert own_swarm.roles()["late"] == "agent"
    assert agent.before_task("decode a JSON document").best is not None
    assert_exact(own_swarm, own_settings, 1, "late")


def test_what_a_dead_process_left_in_the_spool_is_replayed_by_the_next(
    own_swarm: Swarm, own_redis: PrivateRedis, own_settings: Settings, new_agent: NewAgent
) -> None:
    new_agent()
    own_redis.kill()
    # A process of the same agent that ended before Redis was back.
    tasks = []
    gone = new_agent()
    for number in range(5):
        tasks.append(gone.before_task(f"task {number}").trajectory_id)
        gone.after_task(tasks[-1], success=True)
    own_redis.start()
    assert run_program("replay_spool", own_settings, "coder-1").strip() == "0"
    assert order(own_swarm) == tasks
    assert_exact(own_swarm, own_settings, 5)


def test_what_another_process_spooled_is_replayed_by_one_that_never_did(
    own_swarm: Swarm, own_redis: PrivateRedis, own_settings: Settings, new_agent: NewAgent
) -> None:
    living, dying = new_agent(), new_agent()
    task = dying.before_task("decode JSON").trajectory_id
    own_redis.kill()
    assert dying.after_task(task, success=True).state is ReceiptState.SPOOLED
    assert living.receipt(task).state is ReceiptState.SPOOLED
    own_redis.start()
    wait_until(living.refresh, 30.0, "Redis to be back")
    assert order(own_swarm) == [task]
    # The other one finds the spool empty and goes on sending.
    wait_until(dying.refresh, 30.0, "Redis to be back")
    assert dying.health().spooled == 0
    assert dying.after_task(dying.before_task("more").trajectory_id, success=True).state is ReceiptState.ACCEPTED
    assert_exact(own_swarm, own_settings, 2)


def test_two_processes_replay_one_spool_at_once_and_each_outcome_counts_once(
    own_swarm: Swarm, own_settings: Settings
) -> None:
    tasks = fill_spool(own_settings, 300)
    processes = [start_program("replay_spool", own_settings, "coder-1") for _ in range(2)]
    assert [process.communicate(timeout=60.0)[0].strip() for process in processes] == ["0", "0"]
    assert order(own_swarm) == tasks
    assert_exact(own_swarm, own_settings, 300)


def test_a_full_spool_holds_up_no_hook_for_long(
    own_swarm: Swarm, own_settings: Settings, new_agent: NewAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "_REPLAY_S", 0.01)
    tasks = fill_spool(own_settings, MANY)
    agent = new_agent()
    states, waiting = [], [agent.health().spooled]
    while agent.health().spooled:
        tasks.append(agent.before_task("decode JSON").trajectory_id)
        states.append(agent.after_task(tasks[-1], success=True).state)
        waiting.append(agent.health().spooled)
    # No hook sent everything: each had its turn, and then went on.
    assert 0 < waiting[0] < MANY
    assert len(states) > 2
    # What is reported meanwhile queues up behind what waits.
    assert ReceiptState.SPOOLED in states
    assert order(own_swarm) == tasks


def fill_spool(settings: Settings, count: int) -> list[str]:
    """Leave outcomes in the spool of coder-1, as its processes do while Redis is away; their trajectory ids."""
    spool = spool_of(settings)
    for number in range(count):
        outcome = some_outcome(number)
        spool.append(f"key-{number}", outcome.id, encode_trajectory(outcome))
    spool.close()
    return [some_outcome(number).id for number in range(count)]


def test_an_agent_killed_in_the_middle_of_a_replay_loses_and_doubles_nothing(
    own_swarm: Swarm, own_settings: Settings
) -> None:
    rng = random.Random(3)
    tasks = fill_spool(own_settings, MANY)
    kills = 0
    for _ in range(4):
        sent = own_swarm.agents.state("coder-1").accepted
        enough = sent + rng.randint(1, 300)
        with start_program("replay_spool", own_settings, "coder-1") as process:
            wait_until(lambda: own_swarm.agents.state("coder-1").accepted >= enough, 30.0, "a part of the replay")  # noqa: B023  # called at once
            process.kill()
        kills += 0 < len(spool_of(own_settings)) < MANY
    assert kills >= 2
    run_program("replay_spool", own_settings, "coder-1")
    assert len(spool_of(own_settings)) == 0
    assert order(own_swarm) == tasks
    assert_exact(own_swarm, own_settings, MANY)


def test_redis_killed_in_the_middle_of_a_replay_loses_and_doubles_nothing(
    own_swarm: Swarm, own_redis: PrivateRedis, own_settings: Settings, new_agent: NewAgent
) -> None:
    agent = new_agent()
    tasks = fill_spool(own_settings, MANY)
    with start_program("replay_spool", own_settings, "coder-1") as process:
        wait_until(lambda: own_swarm.agents.state("coder-1").accepted >= 40, 30.0, "a part of the replay")
        own_redis.kill()
        printed, _ = process.communicate(timeout=30.0)
    assert 0 < int(printed) < MANY
    own_redis.start()
    wait_until(lambda: agent.refresh() and not agent.health().spooled, 30.0, "the rest of the replay")
    assert order(own_swarm) == tasks
    assert_exact(own_swarm, own_settings, MANY)


def test_a_full_spool_is_an_explicit_error_and_the_task_stays_open(
    own_swarm: Swarm, own_redis: PrivateRedis, own_settings: Settings, new_agent: NewAgent
) -> None:
    agent = new_agent(spool_max_bytes=2000)
    own_redis.kill()
    done = []
    task = agent.before_task("decode JSON").trajectory_id
    while not is_refused(agent, task):
        done.append(task)
        task = agent.before_task("decode JSON").trajectory_id
    assert done
    assert (agent.health().spooled, agent.health().open_tasks) == (len(done), 1)
    own_redis.start()
    wait_until(agent.refresh, 30.0, "Redis to be back")
    assert agent.after_task(task, success=True).state is ReceiptState.ACCEPTED
    assert order(own_swarm) == [*done, task]
    assert_exact(own_swarm, own_settings, len(done) + 1)


def is_refused(agent: Agent, task: str) -> bool:
    """Whether the spool has no room for the outcome of a task."""
    try:
        agent.after_task(task, success=True)
    except CapacityError as error:
        return "spool_max_bytes" in str(error)
    return False


def test_when_the_workers_are_behind_what_is_spooled_waits_and_hooks_go_on(
    own_swarm: Swarm, own_settings: Settings, new_agent: NewAgent
) -> None:
    agent = new_agent(max_pending=3)
    tasks = fill_spool(own_settings, 5)
    advice = agent.before_task("decode JSON")
    assert advice.is_fresh
    assert agent.health().spooled == 2
    assert "max_pending" in agent.health().last_error
    # As without a spool: the report is refused, and the task stays open for another try.
    with pytest.raises(CapacityError, match="max_pending"):
        agent.after_task(advice.trajectory_id, success=True)
    assert (agent.health().spooled, agent.health().open_tasks) == (2, 1)
    Background(own_settings).drain(0.0)
    assert agent.after_task(advice.trajectory_id, success=True).state is ReceiptState.ACCEPTED
    assert agent.health().spooled == 0
    assert order(own_swarm) == [*tasks, advice.trajectory_id]
    assert_exact(own_swarm, own_settings, 6)


def test_a_task_of_another_process_cannot_be_ended_while_redis_is_away(
    own_swarm: Swarm, own_redis: PrivateRedis, new_agent: NewAgent
) -> None:
    task = new_agent().before_task("decode JSON").trajectory_id
    other = new_agent()
    own_redis.kill()
    for _ in range(2):
        with pytest.raises(StoreUnavailableError):
            other.after_task(task, success=True)
    assert other.health().redis_failures > 0
    own_redis.start()
    wait_until(other.refresh, 30.0, "Redis to be back")
    assert other.after_task(task, success=True).is_new
    assert not other.after_task(task, success=True).is_new


def test_while_redis_is_away_one_hook_asks_for_it_and_the_others_do_not(
    own_swarm: Swarm, own_redis: PrivateRedis, new_agent: NewAgent
) -> None:
    agent = new_agent()
    agent.breaker.pause_s = 60.0
    own_redis.kill()
    for _ in range(30):
        agent.after_task(agent.before_task("decode JSON").trajectory_id, success=True)
    # Sixty hooks, and one of them asked Redis.
    assert agent.health().redis_failures == 1
    assert agent.health().spooled == 30


def test_a_frozen_redis_costs_one_timeout_and_then_nothing_until_the_breaker_closes(
    own_swarm: Swarm, own_redis: PrivateRedis, own_settings: Settings, new_agent: NewAgent
) -> None:
    agent = new_agent(socket_timeout=0.3)
    agent.breaker.pause_s = 60.0
    own_redis.signal(signal.SIGSTOP)
    advice = agent.before_task("decode a JSON document")
    assert agent.health().redis_failures == 1
    assert advice.best is not None
    assert not advice.is_fresh
    for _ in range(20):
        agent.after_task(agent.before_task("decode JSON").trajectory_id, success=True)
    assert agent.health().redis_failures == 1
    own_redis.signal(signal.SIGCONT)
    agent.breaker.succeeded()
    assert agent.refresh()
    assert_exact(own_swarm, own_settings, 20)


def test_while_redis_is_away_old_tasks_go_here_and_workers_let_them_go_there(
    own_swarm: Swarm,
    own_settings: Settings,
    own_redis: PrivateRedis,
    new_agent: NewAgent,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    agent = new_agent()
    long_ago_s = time.time() - own_settings.open_ttl - 1.0
    with monkeypatch.context() as clock:
        clock.setattr(time, "time", lambda: long_ago_s)
        agent.before_task("decode JSON")
        own_redis.kill()
        agent.before_task("decode JSON")
    assert agent.unkept == 1
    assert agent.drop_expired() == 2
    assert (agent.unkept, agent.health().open_tasks, agent.health().expired_tasks) == (0, 0, 2)
    own_redis.start()
    [status] = [one for one in own_swarm.status().agents if one.name == "coder-1"]
    assert (status.open, status.expired_open) == (1, 0)
    assert Background(own_settings).expire("coder-1") == 1
    [status] = [one for one in own_swarm.status().agents if one.name == "coder-1"]
    assert (status.open, status.expired_open) == (0, 1)


def test_a_full_redis_refuses_writes_and_nothing_is_lost(
    own_swarm: Swarm, own_settings: Settings, new_agent: NewAgent
) -> None:
    agent, client = new_agent(), own_swarm.client
    begun = agent.before_task("decode JSON").trajectory_id
    agent.after_task(begun, success=True)
    client.config_set("maxmemory", "1")
    task = agent.before_task("decode a JSON document")
    assert task.best is not None
    assert agent.after_task(task.trajectory_id, success=True, used=task.best).state is ReceiptState.SPOOLED
    assert "maxmemory" in agent.health().last_error
    before = own_swarm.agents.state("coder-1")
    with pytest.raises(StoreUnavailableError, match="OutOfMemory"):
        Background(own_settings).consolidate("coder-1", "worker", 0.0)
    assert own_swarm.agents.state("coder-1") == before
    assert own_swarm.agents.clusters("coder-1") == []
    client.config_set("maxmemory", "0")
    wait_until(agent.refresh, 30.0, "the breaker to close")
    assert order(own_swarm) == [begun, task.trajectory_id]
    assert_exact(own_swarm, own_settings, 2)

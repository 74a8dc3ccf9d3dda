"""One attempt in this process, on a real ledger and with real agents: what is reported, kept, and how it is stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support import PrivateRedis, wait_until
from swarm_support import EMBEDDER, make_swarm

from swarm.services.swarm import Swarm
from swarm.services.tasks import ClaimedTask, Tasks
from swarm.settings import Settings
from swarm.store.connection import Client, connect
from swarm.wire.keys import SwarmKeys
from swarm.wire.records import decode_trajectory
from swarm.wire.task_records import TaskState
from swarm_cli.worker_agents import make_agents
from swarm_workers.attempt import Attempt
from swarm_workers.handlers import Handler, Permanent, Retry, Stopped, Task
from swarm_workers.hooks import Agents

LEASE = 0.3


class Died(BaseException):
    """As if the process had been killed here."""


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"embedder": EMBEDDER})


@pytest.fixture
def swarm(settings: Settings, client: Client) -> Swarm:
    return make_swarm(settings, client)


@pytest.fixture
def agents(settings: Settings) -> Iterator[Agents]:
    made = Agents(make_agents(settings))
    yield made
    for agent in made.all():
        agent.close()


class Bench:
    """Claims tasks and attempts them as a pool's process does."""

    def __init__(self, swarm: Swarm, agents: Agents, client: Client) -> None:
        self.swarm, self.tasks, self.agents, self.client = swarm, swarm.tasks, agents, client
        self.killed = threading.Event()
        self.lease = LEASE

    def attempt(self, function: Callable[[Task], Any], tasks: Tasks | None = None) -> ClaimedTask:
        claimed = self.tasks.claim("coder", "worker-1", self.lease)
        assert claimed is not None
        Attempt(
            tasks or self.tasks,
            claimed,
            Handler("coder", function),
            self.agents,
            claimed.record.agent or "coder",
            lease=self.lease,
            kill=self.killed.set,
        ).run()
        return claimed

    def outcomes(self, agent: str = "coder") -> list[float]:
        """The qualities of what the agent reported."""
        entries = self.swarm.outcomes(agent).read_after("0-0", 100)
        return [decode_trajectory(record).quality for _, record in entries]

    def open_trajectories(self) -> int:
        return self.client.hlen(SwarmKeys(self.swarm.settings.name).agent("coder").open)

    def run_out(self, claimed: ClaimedTask) -> None:
        wait_until(lambda: self.tasks.sweep().get(claimed.id), 30.0, "the lease to run out")


@pytest.fixture
def bench(swarm: Swarm, agents: Agents, client: Client) -> Bench:
    return Bench(swarm, agents, client)


def refuse(error: BaseException) -> Callable[[Task], Any]:
    def function(task: Task) -> Any:
        raise error

    return function


def test_a_success_is_reported_once_and_its_result_kept(bench: Bench) -> None:
    receipt = bench.swarm.submit("rename a column", role="coder")
    bench.attempt(lambda task: f"done: {task.text}, {task.advice is not None}")
    assert bench.tasks.wait(receipt.id, 0.0) == "done: rename a column, True"
    assert bench.outcomes() == [1.0]
    assert bench.open_trajectories() == 0
    found = bench.swarm.receipt("coder", receipt.id)
    assert found.state == "accepted"


def test_the_agent_that_is_named_plays_and_a_handler_can_say_how_good_it_was(bench: Bench) -> None:
    receipt = bench.swarm.submit("rename a column", role="coder", agent="ada")

    def half(task: Task) -> dict[str, str]:
        task.quality, task.output = 0.5, "csv"
        return {"agent": task.agent}

    bench.attempt(half)
    assert bench.tasks.wait(receipt.id, 0.0) == {"agent": "ada"}
    assert (bench.outcomes("ada"), bench.outcomes("coder")) == ([0.5], [])


def test_a_failure_is_reported_with_the_last_attempt_only(bench: Bench) -> None:
    receipt = bench.swarm.submit("x", role="coder", max_attempts=2, backoff=0.0)
    bench.attempt(refuse(RuntimeError("it broke")))
    assert (bench.tasks.find(receipt.id).state, bench.outcomes()) == (TaskState.WAITING, [])
    bench.attempt(refuse(RuntimeError("it broke again")))
    view = bench.tasks.find(receipt.id)
    assert (view.state, view.status.why) == (TaskState.DEAD, "RuntimeError: it broke again")
    assert bench.outcomes() == [0.0]
    assert bench.open_trajectories() == 0


def test_what_is_permanent_is_not_tried_again(bench: Bench) -> None:
    receipt = bench.swarm.submit("x", role="coder")
    bench.attempt(refuse(Permanent("it cannot be done")))
    view = bench.tasks.find(receipt.id)
    assert (view.state, view.status.why, view.status.attempts) == (TaskState.DEAD, "it cannot be done", 1)
    assert bench.outcomes() == [0.0]


def test_a_result_that_cannot_be_kept_is_permanent(bench: Bench) -> None:
    receipt = bench.swarm.submit("x", role="coder")
    bench.attempt(lambda task: object())
    view = bench.tasks.find(receipt.id)
    assert view.state is TaskState.DEAD
    assert "result may hold" in view.status.why


def test_a_retry_waits_as_long_as_it_says(bench: Bench, client: Client) -> None:
    receipt = bench.swarm.submit("x", role="coder")
    bench.attempt(refuse(Retry("not yet", delay=500.0)))
    view = bench.tasks.find(receipt.id)
    assert (view.state, view.status.why) == (TaskState.RETRYING, "not yet")
    due = client.zscore(SwarmKeys(bench.swarm.settings.name).later, receipt.id)
    assert due is not None
    assert due - bench.tasks.store.now_s() == pytest.approx(500.0, abs=5.0)


def test_a_replayed_task_reports_anew(bench: Bench) -> None:
    receipt = bench.swarm.submit("x", role="coder")
    bench.attempt(refuse(Permanent("not yet there")))
    bench.tasks.replay(receipt.id)
    bench.attempt(lambda task: "done")
    assert bench.outcomes() == [0.0, 1.0]


def test_a_process_that_dies_between_the_outcome_and_the_result_reports_once(
    bench: Bench, settings: Settings, client: Client
) -> None:
    class Dying(Tasks):
        def succeed(self, task: ClaimedTask, result: object) -> TaskState | None:
            raise Died

    receipt = bench.swarm.submit("x", role="coder")
    with pytest.raises(Died):
        bench.attempt(lambda task: "first", Dying(settings, client, bench.swarm.agents))
    assert bench.outcomes() == [1.0]
    claimed = bench.tasks.find(receipt.id)
    assert claimed.state is TaskState.RUNNING
    wait_until(lambda: bench.tasks.sweep() == {receipt.id: "waiting"}, 30.0, "the lease to run out")
    assert bench.attempt(lambda task: "second").attempts == 2
    assert bench.tasks.wait(receipt.id, 0.0) == "second"
    assert (bench.outcomes(), bench.open_trajectories()) == ([1.0], 0)


def test_a_task_that_others_judge_has_advice_and_reports_nothing(bench: Bench) -> None:
    receipt = bench.swarm.submit("x", role="coder", report=False)
    bench.attempt(lambda task: task.advice is not None)
    assert bench.tasks.wait(receipt.id, 0.0) is True
    assert (bench.outcomes(), bench.open_trajectories()) == ([], 0)


def test_the_lease_is_renewed_while_the_handler_runs(bench: Bench) -> None:
    receipt = bench.swarm.submit("x", role="coder")
    swept: dict[str, str] = {}

    def slow(task: Task) -> str:
        end = bench.tasks.store.now_s() + 4 * LEASE

        def is_over() -> bool:
            swept.update(bench.tasks.sweep())
            return bench.tasks.store.now_s() > end

        wait_until(is_over, 30.0, "four leases")
        return "done"

    assert bench.attempt(slow).attempts == 1
    assert swept == {}
    assert bench.tasks.wait(receipt.id, 0.0) == "done"
    assert not bench.killed.is_set()


def test_a_cancelled_task_stops_at_its_next_progress_and_reports_nothing(bench: Bench) -> None:
    receipt = bench.swarm.submit("x", role="coder")

    def cancelled(task: Task) -> str:
        task.progress(0.5)
        bench.tasks.cancel(receipt.id, "not wanted")
        task.progress(0.6)
        raise AssertionError("it went on")

    bench.attempt(cancelled)
    view = bench.tasks.find(receipt.id)
    assert (view.state, view.status.why, view.result) == (TaskState.CANCELLED, "not wanted", None)
    assert (bench.outcomes(), bench.open_trajectories()) == ([], 0)


def test_what_was_cancelled_a_moment_ago_is_not_reported_either(bench: Bench) -> None:
    receipt = bench.swarm.submit("x", role="coder")
    bench.lease = 60.0  # so that nothing renews it meanwhile
    bench.attempt(lambda task: bench.tasks.cancel(task.id).value)
    assert bench.tasks.find(receipt.id).state is TaskState.CANCELLED
    assert (bench.outcomes(), bench.open_trajectories()) == ([], 0)


def test_a_handler_that_stops_unasked_has_failed(bench: Bench) -> None:
    receipt = bench.swarm.submit("x", role="coder", backoff=0.0)
    bench.attempt(refuse(Stopped()))
    assert bench.tasks.find(receipt.id).state is TaskState.WAITING


def test_a_handler_that_goes_on_after_a_cancellation_is_ended_by_force_and_keeps_nothing(bench: Bench) -> None:
    receipt = bench.swarm.submit("x", role="coder")

    def deaf(task: Task) -> str:
        bench.tasks.cancel(receipt.id)
        wait_until(bench.killed.is_set, 30.0, "the end of the process")
        return "too late"

    bench.attempt(deaf)
    assert bench.killed.is_set()
    assert bench.tasks.find(receipt.id).state is TaskState.CANCELLED
    assert bench.outcomes() == []


def test_an_outcome_that_had_to_be_spooled_is_sent_as_soon_as_redis_is_back(
    settings: Settings, own_redis: PrivateRedis
) -> None:
    mine = settings.model_copy(update={"redis_url": own_redis.url, "socket_timeout": 1.0, "hook_timeout": 0.1})
    with connect(mine) as client:
        agents = Agents(make_agents(mine))
        bench = Bench(make_swarm(mine, client), agents, client)
        receipt = bench.swarm.submit("x", role="coder")
        back = threading.Timer(1.0, own_redis.start)

        def outage(task: Task) -> str:
            own_redis.kill()
            back.start()
            return "done"

        bench.lease = 10.0
        bench.attempt(outage)
        back.join()
        assert bench.tasks.wait(receipt.id, 0.0) == "done"
        # Neither another task of this agent nor anything else has sent it.
        assert bench.outcomes() == [1.0]
        for agent in agents.all():
            agent.close()


def test_a_task_that_was_lost_to_another_has_no_effect_any_more(bench: Bench) -> None:
    receipt = bench.swarm.submit("x", role="coder")
    keys = SwarmKeys(bench.swarm.settings.name)

    def frozen(task: Task) -> str:
        # As if this process had been frozen past its lease.
        bench.client.zadd(keys.running, {receipt.id: 1.0})
        assert bench.tasks.sweep() == {receipt.id: "waiting"}
        other = bench.tasks.claim("coder", "worker-2", 60.0)
        assert other is not None
        with pytest.raises(Stopped):
            task.progress(0.5)
        return "too late"

    bench.attempt(frozen)
    view = bench.tasks.find(receipt.id)
    assert (view.state, view.status.worker, view.result) == (TaskState.RUNNING, "worker-2", None)
    assert bench.outcomes() == []


def test_the_time_limit_ends_the_attempt_and_the_process(bench: Bench) -> None:
    receipt = bench.swarm.submit("x", role="coder", time_limit=0.2, max_attempts=1)

    def stuck(task: Task) -> str:
        wait_until(bench.killed.is_set, 30.0, "the end of the process")
        return "too late"

    bench.attempt(stuck)
    assert bench.killed.is_set()
    view = bench.tasks.find(receipt.id)
    assert (view.state, view.status.why, view.result) == (TaskState.DEAD, "time limit of 0.2 s", None)
    assert bench.outcomes() == [0.0]


def test_hooks_that_cannot_work_do_not_keep_the_task_from_being_done(
    swarm: Swarm, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(name: str, role: str) -> Any:
        raise RuntimeError("no agent today")

    bench = Bench(swarm, Agents(broken), client)
    receipt = swarm.submit("x", role="coder")
    bench.attempt(lambda task: task.advice is None)
    assert swarm.tasks.wait(receipt.id, 0.0) is True
    assert "the first hook failed, the task goes on: RuntimeError" in caplog.text
    assert "no agent today" not in caplog.text


def test_without_a_factory_there_are_no_hooks(swarm: Swarm, client: Client) -> None:
    bench = Bench(swarm, Agents(None), client)
    receipt = swarm.submit({"only": "a payload"}, role="coder")
    bench.attempt(lambda task: dict(task.payload))
    assert swarm.tasks.wait(receipt.id, 0.0) == {"only": "a payload"}
    assert swarm.agents.names() == []

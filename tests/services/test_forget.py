"""Forgetting: nothing of it is stored any more, the rest is as if it had never been, and nothing brings it back."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import pytest
from retention_support import stored_bytes, where
from support import PrivateRedis
from swarm_support import DIM, make_swarm, outcomes_in, some_outcome, some_vector

from swarm.errors import InputError, StaleWriterError, UnknownIdError
from swarm.services.background import Background
from swarm.services.consolidate import consolidate
from swarm.services.forget import Forgetter
from swarm.services.receipts import ReceiptState
from swarm.services.replica import Replica
from swarm.services.rewind import Rewinder
from swarm.services.swarm import Swarm
from swarm.services.verdict import AgentResult
from swarm.settings import Settings
from swarm.sona.config import SonaConfig
from swarm.sona.trajectory import Trajectory
from swarm.sona.vectors import Vector
from swarm.store.bank import BankStore
from swarm.store.connection import Client, connect
from swarm.store.tombstones import TombstoneStore
from swarm_agents import Agent

AGENT, OTHER = "coder-1", "coder-2"


def outcome(number: int, agent: str, **changes: object) -> Trajectory:
    """An outcome with words of its own, now."""
    made = some_outcome(number, agent)
    near = some_vector(number % 30) + 0.1 * some_vector(9_000 + number)
    values = {"embedding": near, "at_s": time.time(), "text": f"task {number} of {agent}"} | changes
    return replace(made, **values)  # type: ignore[arg-type]


def learn(swarm: Swarm, background: Background, agent: str, numbers: Collection[int], **changes: object) -> None:
    report(swarm, agent, numbers, **changes)
    background.drain(0.0)


def report(swarm: Swarm, agent: str, numbers: Collection[int], **changes: object) -> None:
    if swarm.agents.registration(agent) is None:
        swarm.register(agent, "coder", SonaConfig(dim=DIM, pattern_clusters=12))
    for number in numbers:
        made = outcome(number, agent, **changes)
        swarm.record(made, made.id)


def agent_status(swarm: Swarm, agent: str) -> tuple[int, ...]:
    [status] = [one for one in swarm.status().agents if one.name == agent]
    assert status.lost == 0
    assert status.accepted == status.consolidated + status.pending + status.dead + status.rewound
    return status.accepted, status.consolidated, status.pending, status.rewound, status.refused


SECRET = "the zebra crossed at dawn"


def test_of_a_trajectory_nothing_is_stored_any_more(swarm: Swarm, background: Background, client: Client) -> None:
    learn(swarm, background, AGENT, range(40))
    learn(swarm, background, OTHER, range(40))
    learn(swarm, background, AGENT, [40], text=SECRET, action="odd", response=SECRET)
    learn(swarm, background, AGENT, range(41, 60))
    agent_keys = swarm.keys.agent(AGENT)
    assert where(client, swarm.keys, SECRET) == [agent_keys.clusters, agent_keys.stream, swarm.keys.bank]
    replica = make_swarm(swarm.settings, client).replica
    replica.refresh()
    done = swarm.forget(trajectory="coder-1-40", by="ada")
    assert where(client, swarm.keys, SECRET) == []
    assert (done.outcomes, done.erased, done.lost) == (1, 1, 0)
    assert agent_status(swarm, AGENT) == (60, 59, 0, 1, 0)
    assert outcomes_in(swarm.agents.clusters(AGENT)) == 59
    replica.refresh()
    assert not any(SECRET in (e.text, c.response) for c in replica.index.clusters() for e in c.exemplars)
    [stone] = swarm.tombstones()
    assert (stone.kind, stone.id, stone.by, stone.is_done, stone.work) == ("trajectory", "coder-1-40", "ada", True, {})
    assert swarm.receipt(AGENT, "coder-1-40").state is ReceiptState.REWOUND
    # It goes on, and nothing comes back.
    learn(swarm, background, AGENT, range(60, 80))
    assert where(client, swarm.keys, SECRET) == []
    assert agent_status(swarm, AGENT) == (80, 79, 0, 1, 0)


def test_what_arrives_later_is_refused_and_counted(swarm: Swarm, background: Background, client: Client) -> None:
    learn(swarm, background, AGENT, range(5))
    # Neither reported nor begun here yet: it lies in a spool somewhere.
    assert swarm.forget(trajectory="late").outcomes == 0
    for _ in range(2):
        receipt = swarm.record(outcome(1, AGENT, id="late", text=SECRET), "late-key")
        assert (receipt.state, receipt.is_new) == (ReceiptState.FORGOTTEN, False)
    assert swarm.receipt(AGENT, "late-key").state is ReceiptState.FORGOTTEN
    assert swarm.wait(receipt, 0.0).state is ReceiptState.FORGOTTEN
    swarm.outcomes(AGENT).put_open("late", SECRET.encode())
    background.drain(0.0)
    assert where(client, swarm.keys, SECRET) == []
    assert agent_status(swarm, AGENT) == (5, 5, 0, 0, 1)


def test_a_trajectory_that_waits_or_is_open_goes_too(swarm: Swarm, background: Background, client: Client) -> None:
    learn(swarm, background, AGENT, range(5))
    swarm.outcomes(AGENT).put_open("open", SECRET.encode())
    report(swarm, AGENT, [5])
    report(swarm, AGENT, [6], text=SECRET)
    report(swarm, AGENT, [7])
    swarm.forget(trajectory="open")
    assert swarm.forget(trajectory="coder-1-6").erased == 1
    assert where(client, swarm.keys, SECRET) == []
    assert agent_status(swarm, AGENT) == (8, 5, 2, 1, 0)
    background.drain(0.0)
    assert agent_status(swarm, AGENT) == (8, 7, 0, 1, 0)
    assert swarm.receipt(AGENT, "coder-1-6").state is ReceiptState.REWOUND
    assert swarm.receipt(AGENT, "coder-1-7").state is ReceiptState.SEARCHABLE


def test_what_only_older_versions_remember_goes_too(swarm: Swarm, background: Background, client: Client) -> None:
    learn(swarm, background, AGENT, range(40, 44))
    learn(swarm, background, AGENT, [1], text=SECRET)
    learn(swarm, background, AGENT, range(44, 60))
    state = swarm.agents.state(AGENT)
    # Neither the stream nor any cluster knows it; an older version and the sample do.
    swarm.rollback(AGENT, 1)
    client.xtrim(swarm.keys.agent(AGENT).stream, maxlen=3, approximate=False)
    background.merge("test", 0.0)
    assert where(client, swarm.keys, SECRET) == [swarm.keys.agent(AGENT).undo]
    swarm.forget(trajectory="coder-1-1")
    assert where(client, swarm.keys, SECRET) == []
    assert swarm.agents.state(AGENT).generation > state.generation + 1
    assert outcomes_in(swarm.agents.clusters(AGENT)) == 4


def test_decisions_and_verdicts_of_what_is_forgotten_go_too(swarm: Swarm, client: Client) -> None:
    agent = Agent(AGENT, role="coder", swarm=swarm)
    other = Agent(OTHER, role="coder", swarm=swarm)
    advice = agent.before_task(SECRET, routes=["small", "large"])
    agent.after_task(advice.trajectory_id, success=True, output="done")
    assert swarm.keys.decision(agent_decision(swarm)) in where(client, swarm.keys, SECRET)
    swarm.forget(trajectory=advice.trajectory_id)
    assert where(client, swarm.keys, SECRET) == []
    swarm.learn_from_swarm_execution(
        "a task", {AGENT: AgentResult(output=SECRET), OTHER: AgentResult(output=SECRET)}, idempotency_key="vote"
    )
    assert swarm.keys.execution("vote") in where(client, swarm.keys, SECRET)
    swarm.forget(trajectory="execution:vote")
    assert where(client, swarm.keys, SECRET) == []
    agent.close()
    other.close()


def agent_decision(swarm: Swarm) -> str:
    [key] = swarm.client.scan_iter(match=swarm.keys.decision("*"))
    return str(key.decode().rpartition(":")[2])


def test_of_an_agent_nothing_is_stored_any_more(swarm: Swarm, background: Background, client: Client) -> None:
    learn(swarm, background, OTHER, range(40))
    before = {p.id: p for p in swarm.bank.patterns()}
    learn(swarm, background, AGENT, range(100, 140), text=SECRET, response=SECRET)
    report(swarm, AGENT, range(140, 150), text=SECRET)
    client.hset(swarm.keys.agent(AGENT).dead, "1-1", SECRET)
    swarm.outcomes(AGENT).put_open("open", SECRET.encode())
    swarm.outcomes(AGENT).append(b"not readable", SECRET, "")
    done = swarm.forget(agent=AGENT)
    assert where(client, swarm.keys, SECRET) == []
    # What is left of it says that it was, and when.
    keys = swarm.keys.agent(AGENT)
    assert {key for key in stored_bytes(client, swarm.keys) if key.startswith(f"{{{swarm.keys.swarm}/{AGENT}")} == {
        *(keys.state, keys.stream, keys.log, keys.fence),
    }
    assert AGENT not in swarm.agents.names()
    assert done.outcomes == 51
    assert {p.id: p.n for p in swarm.bank.patterns()} == {name: p.n for name, p in before.items()}
    with pytest.raises(UnknownIdError, match="was forgotten already"):
        swarm.forget(agent=AGENT)
    with pytest.raises(UnknownIdError, match="is not registered"):
        swarm.record(outcome(1, AGENT), "key")


def test_its_name_may_come_back_as_a_new_agent(swarm: Swarm, background: Background) -> None:
    learn(swarm, background, AGENT, range(40))
    swarm.forget(agent=AGENT)
    # Even with outcomes of long ago: whoever records them now means the new one.
    learn(swarm, background, AGENT, range(40, 50), at_s=1.0)
    assert agent_status(swarm, AGENT) == (10, 10, 0, 0, 0)
    assert outcomes_in(swarm.agents.clusters(AGENT)) == 10
    assert outcomes_in(swarm.bank.patterns()) == 10
    assert len(swarm.history(AGENT)) == 2
    swarm.rewind("coder-1-45")
    assert outcomes_in(swarm.bank.patterns()) == 9
    assert agent_status(swarm, AGENT) == (10, 9, 0, 1, 0)


def test_a_worker_with_the_agent_in_memory_does_not_bring_it_back(
    swarm: Swarm, background: Background, settings: Settings, client: Client
) -> None:
    worker = Background(settings, client)
    learn(swarm, worker, AGENT, range(20))
    learn(swarm, worker, OTHER, range(100, 120))
    swarm.forget(agent=AGENT)
    # That worker merges next, for another agent.
    learn(swarm, worker, OTHER, range(120, 130))
    assert {name for p in swarm.bank.patterns() for name in p.agents} == {OTHER}


def test_a_consolidation_that_was_under_way_does_not_bring_it_back(
    swarm: Swarm, background: Background, client: Client
) -> None:
    learn(swarm, background, AGENT, range(20))
    report(swarm, AGENT, range(20, 30), text=SECRET)

    class Overtaken(Replica):
        """Everything happens while a consolidation has read its outcomes, and has yet to commit."""

        def refresh(self) -> bool:
            client.delete(swarm.keys.agent(AGENT).lease)
            swarm.forget(agent=AGENT)
            return super().refresh()

    with pytest.raises(StaleWriterError):
        consolidate(AGENT, swarm.agents, swarm.outcomes(AGENT), lambda config: Overtaken(swarm.bank, config), 30.0)
    background.drain(0.0)
    assert where(client, swarm.keys, SECRET) == []
    assert swarm.bank.patterns() == []


def test_what_learns_in_between_is_taken_out_again(
    swarm: Swarm, background: Background, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn(swarm, background, AGENT, range(20))
    erase, tries = TombstoneStore.erase_agent, []

    def busy(store: TombstoneStore, agent: str, *arguments: object) -> bool:
        tries.append(agent)
        if len(tries) <= 2:
            return False
        return erase(store, agent, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(TombstoneStore, "erase_agent", busy)
    swarm.forget(agent=AGENT)
    assert len(tries) == 3
    assert swarm.bank.patterns() == []


@pytest.mark.parametrize("kind", ["trajectory", "agent", "pattern"])
@pytest.mark.parametrize("step", ["_settle", "_merge", "_retrain_all", "erase", "finish"])
def test_a_forgetting_that_was_killed_is_run_again(
    swarm: Swarm, background: Background, client: Client, monkeypatch: pytest.MonkeyPatch, kind: str, step: str
) -> None:
    learn(swarm, background, OTHER, range(20))
    learn(swarm, background, AGENT, range(20, 40))
    learn(swarm, background, AGENT, [40], text=SECRET, response=SECRET, action="odd")
    [pattern] = [p for p in swarm.bank.patterns() if p.action == "odd"]
    what = {"trajectory": "coder-1-40", "agent": AGENT, "pattern": pattern.id}[kind]

    def killed(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    place: tuple[type, str] = (Rewinder, step)
    if step == "erase":
        place = (TombstoneStore, "erase_agent" if kind == "agent" else "erase_outcomes")
    elif step == "finish":
        place = (TombstoneStore, "bury") if kind == "agent" else (Forgetter, "_finish")
    with monkeypatch.context() as patch:
        patch.setattr(*place, killed)
        with pytest.raises(KeyboardInterrupt):
            swarm.forget(**{kind: what})
    background.drain(0.0)
    swarm.forget(**{kind: what})
    assert where(client, swarm.keys, SECRET) == []
    assert swarm.tombstones()[0].is_done
    expected = 20 if kind == "agent" else 40
    assert outcomes_in(swarm.bank.patterns()) == expected
    if kind != "agent":
        assert agent_status(swarm, AGENT) == (21, 20, 0, 1, 0)


def test_of_a_pattern_nothing_is_stored_any_more(swarm: Swarm, background: Background, client: Client) -> None:
    place = {"action": "odd", "response": SECRET}
    learn(swarm, background, AGENT, range(20))
    for number in range(20, 26):
        learn(swarm, background, AGENT, [number], text=SECRET, quality=1.0, embedding=near(number), **place)
    learn(swarm, background, OTHER, [50], text=SECRET, quality=1.0, embedding=near(50), **place)
    # The same action elsewhere is another pattern.
    learn(swarm, background, OTHER, [51], quality=1.0, embedding=-near(51), action="odd", response="something else")
    report(swarm, AGENT, [26], text=SECRET, quality=1.0, embedding=near(26), **place)
    [pattern] = [p for p in swarm.bank.patterns() if p.action == "odd" and p.response == SECRET]
    assert set(pattern.agents) == {AGENT, OTHER}
    done = swarm.forget(pattern=pattern.id)
    assert where(client, swarm.keys, SECRET) == []
    assert (done.outcomes, done.erased, done.lost) == (8, 8, 0)
    assert agent_status(swarm, AGENT) == (27, 20, 0, 7, 0)
    assert agent_status(swarm, OTHER) == (2, 1, 0, 1, 0)
    assert [p.response for p in swarm.bank.patterns() if p.action == "odd"] == ["something else"]
    # A spooled outcome of before does not bring it back; new experience is new.
    late = outcome(60, AGENT, quality=1.0, embedding=near(60), at_s=time.time() - 60.0, **place)
    assert swarm.record(late, "late").state is ReceiptState.FORGOTTEN
    assert swarm.record(outcome(61, AGENT, action="odd", response="new"), "new").state is ReceiptState.ACCEPTED
    with pytest.raises(UnknownIdError, match="not in the bank"):
        swarm.forget(pattern="nothing")


def near(number: int) -> Vector:
    return some_vector(777) + 0.02 * some_vector(20_000 + number)


def test_what_of_a_pattern_the_stream_does_not_hold_any_more_goes_too(
    swarm: Swarm, background: Background, client: Client
) -> None:
    place = {"action": "odd", "response": SECRET, "text": SECRET, "quality": 1.0}
    for number in range(6):
        learn(swarm, background, AGENT, [number], embedding=near(number), **place)
    learn(swarm, background, AGENT, range(10, 20))
    client.xtrim(swarm.keys.agent(AGENT).stream, maxlen=12, approximate=False)
    [pattern] = [p for p in swarm.bank.patterns() if p.action == "odd"]
    done = swarm.forget(pattern=pattern.id)
    assert where(client, swarm.keys, SECRET) == []
    assert outcomes_in(swarm.agents.clusters(AGENT)) == 10
    assert (done.outcomes, done.lost) == (2, 4)
    assert agent_status(swarm, AGENT) == (16, 10, 0, 6, 0)
    with pytest.raises(InputError, match="must be one that agent coder-1 can be rolled back to"):
        swarm.rollback(AGENT, 3)


def test_an_agent_s_process_that_comes_back_brings_nothing_back(
    own_redis: PrivateRedis, settings: Settings, tmp_path: Path
) -> None:
    settings = settings.model_copy(update={"redis_url": own_redis.url, "hook_timeout": 0.3, "socket_timeout": 0.3})
    with connect(settings) as client:
        swarm, background = make_swarm(settings, client), Background(settings, client)
        agent = Agent(AGENT, role="coder", swarm=make_swarm(settings, connect(settings)), refresh_interval=0.0)
        for number in range(6):
            advice = agent.before_task(f"{SECRET} {number}")
            agent.after_task(advice.trajectory_id, success=True, output=f"do {number}")
        under_way = agent.before_task(SECRET)
        background.drain(0.0)
        agent.refresh()
        # Redis goes away; what the agent does now lies in its spool.
        own_redis.kill()
        spooled = agent.before_task(SECRET)
        assert agent.after_task(spooled.trajectory_id, success=True, output=SECRET).state is ReceiptState.SPOOLED
        own_redis.start()
        swarm.forget(agent=AGENT)
        assert where(client, swarm.keys, SECRET) == []
        # The agent comes back: as a new one.
        agent.breaker.succeeded()
        assert agent.flush(10.0)
        assert agent.health().spooled == 0
        assert where(client, swarm.keys, SECRET) == []
        assert agent_status(swarm, AGENT) == (0, 0, 0, 0, 1)
        assert agent.instant_updates >= 0
        assert agent.adapter.micro.is_untrained
        with pytest.raises(UnknownIdError):
            agent.after_task(under_way.trajectory_id, success=True, output=SECRET)
        fresh = agent.before_task("another task")
        assert agent.after_task(fresh.trajectory_id, success=True, output="fine").state is ReceiptState.ACCEPTED
        background.drain(0.0)
        assert where(client, swarm.keys, SECRET) == []
        assert agent_status(swarm, AGENT) == (1, 1, 0, 0, 1)
        agent.close()


def test_another_process_of_a_name_that_was_taken_again_notices(swarm: Swarm, client: Client) -> None:
    agent = Agent(AGENT, role="coder", swarm=make_swarm(swarm.settings, client), refresh_interval=3600.0)
    open_task = agent.before_task(SECRET)
    swarm.forget(agent=AGENT)
    swarm.register(AGENT, "coder")
    # It does not know yet, and is refused all the same.
    assert agent.after_task(open_task.trajectory_id, success=True, output=SECRET).state is ReceiptState.FORGOTTEN
    assert where(client, swarm.keys, SECRET) == []
    agent.refresh()
    task = agent.before_task("new")
    assert agent.after_task(task.trajectory_id, success=True, output="new").state is ReceiptState.ACCEPTED
    agent.close()


def test_a_replica_that_was_away_learns_what_was_forgotten(
    swarm: Swarm, background: Background, client: Client
) -> None:
    learn(swarm, background, AGENT, range(10), text=SECRET)
    away = Replica(BankStore(client, swarm.keys), SonaConfig(dim=DIM))
    away.refresh()
    swarm.forget(agent=AGENT)
    learn(swarm, background, OTHER, range(20, 25))
    # So far behind that the entries it would follow are gone.
    client.xtrim(swarm.keys.banklog, maxlen=1, approximate=False)
    away.refresh()
    assert {name for c in away.index.clusters() for name in c.agents} == {OTHER}


def test_a_pin_goes_with_its_pattern(swarm: Swarm, background: Background) -> None:
    learn(swarm, background, AGENT, range(10), action="odd", embedding=some_vector(1), quality=1.0)
    learn(swarm, background, AGENT, range(10, 20), action="even", embedding=some_vector(2), quality=1.0)
    pins = {p.action: swarm.pin(p.id).id for p in swarm.bank.patterns()}
    swarm.forget(pattern=pins["odd"])
    assert [pin.id for pin in swarm.retention().pins] == [pins["even"]]
    swarm.forget(agent=AGENT)
    assert swarm.retention().pins == ()


def test_forget_wants_one_thing(swarm: Swarm) -> None:
    swarm.register(AGENT)
    with pytest.raises(InputError, match="got none"):
        swarm.forget()
    with pytest.raises(InputError, match="forget takes a pattern, or"):
        swarm.forget(pattern="a", agent=AGENT)
    with pytest.raises(UnknownIdError, match="'nobody' is not registered"):
        swarm.forget(agent="nobody")
    with pytest.raises(UnknownIdError, match="'nobody' is not registered"):
        swarm.forget(trajectory="t", agent="nobody")
    assert swarm.tombstones() == []

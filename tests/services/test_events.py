"""Events: what happens is told once and in order; who follows gets all of it, or is told what was missed."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator, Mapping

import pytest
from support import PrivateRedis, wait_until
from swarm_support import DIM, Report, make_swarm

from swarm.errors import CapacityError, InputError, StoreUnavailableError
from swarm.services.background import Background
from swarm.services.events import MAX_LISTENERS
from swarm.services.merge import Merger
from swarm.services.relay import MAX_PATTERNS, stored_events
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.sona.config import SonaConfig
from swarm.store.agents import AgentState
from swarm.store.connection import Client
from swarm.store.event_scripts import PUBLISH_EVENT
from swarm.store.events import Event
from swarm.store.reply import to_entries
from swarm.wire.codec import decode, encode
from swarm.wire.event_records import encode_event
from swarm.wire.event_types import (
    EVENTS,
    AgentCreated,
    AgentForgotten,
    AgentQuarantined,
    AgentReleased,
    AgentRewound,
    AgentRolledBack,
    BatchComplete,
    Body,
    Gap,
    LearnComplete,
    LearnRefused,
    MergeComplete,
    OutcomeDead,
    PatternForgotten,
    PatternStored,
    TaskCancelled,
    TaskDead,
    TaskDone,
    TrajectoryForgotten,
    Unreadable,
)
from swarm.wire.keys import EVENTS_LENGTH

BATCH = BatchComplete(agent="ada", batch=1, batches=2, total=10, success=9, seconds=0.5, quality=0.8)


@pytest.fixture(autouse=True)
def no_callback_stays(swarm: Swarm) -> Iterator[None]:
    yield
    swarm.events.close()


def told(swarm: Swarm, *types: str) -> list[object]:
    return [event.body for event in swarm.events.latest(*types, count=EVENTS_LENGTH)]


def types(swarm: Swarm) -> list[str]:
    return [event.type for event in swarm.events.latest(count=EVENTS_LENGTH)]


def test_what_agents_and_the_bank_do_is_told_in_order(swarm: Swarm, background: Background, report: Report) -> None:
    receipts = report("ada", 0, 12)
    background.drain(0.0)
    events = swarm.events.latest(count=100)
    assert [event.number for event in events] == list(range(1, len(events) + 1))
    created, learned, *patterns, merge = [event.body for event in events]
    assert created == AgentCreated(agent="ada", role="coder")
    assert isinstance(learned, LearnComplete)
    assert (learned.agent, learned.generation, learned.outcomes) == ("ada", 1, 12)
    assert learned.quality == pytest.approx(8 / 12)
    assert learned.cursor == receipts[-1].stream_id
    assert all(isinstance(pattern, PatternStored) for pattern in patterns)
    bank = {pattern.id: pattern for pattern in swarm.bank.patterns()}
    assert {pattern.pattern for pattern in patterns if isinstance(pattern, PatternStored)} == bank.keys()
    assert merge == MergeComplete(
        version=swarm.bank.version(), agents=1, stored=len(bank), changed=0, removed=0, expired=0, untold=0
    )
    assert learned.clusters == len(bank)


def test_a_generation_is_told_once_whoever_merges_and_not_by_who_lost_the_lease(
    swarm: Swarm, background: Background, settings: Settings, report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    report("ada", 0, 6)
    background.consolidate("ada", "w", 0.0)
    publish = type(swarm.bank).publish

    def late(bank: object, lease: object, *arguments: object, **options: object) -> str:
        swarm.client.delete(swarm.keys.lease)
        return publish(bank, lease, *arguments, **options)  # type: ignore[arg-type]  # passed on as it came

    with monkeypatch.context() as patch:
        patch.setattr(type(swarm.bank), "publish", late)
        assert background.merge("w", 0.0)["status"] == "stale"
    assert types(swarm) == ["agent:created"]
    report("ada", 6, 9)
    background.consolidate("ada", "w", 0.0)
    mergers = [Background(settings, swarm.client) for _ in range(3)]
    for merger in (*mergers, background):
        merger.merge("w", 0.0)
    learned = told(swarm, "learn:complete")
    assert [one.generation for one in learned if isinstance(one, LearnComplete)] == [1, 2]
    assert len(told(swarm, "merge:complete")) == 1


def test_a_generation_is_told_though_others_are_committed_while_the_bank_is_merged(
    swarm: Swarm, background: Background, settings: Settings, report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    report("ada", 0, 3)
    background.consolidate("ada", "w", 0.0)
    load = Merger._load

    def slowly(merger: Merger, states: Mapping[str, AgentState]) -> None:
        load(merger, states)
        for number in range(3, 6):
            report("ada", number, number + 1)
            Background(settings, swarm.client).consolidate("ada", "w", 0.0)

    with monkeypatch.context() as patch:
        patch.setattr(Merger, "_load", slowly)
        background.merge("w", 0.0)
    assert len(told(swarm, "learn:complete")) == 1
    background.merge("w", 0.0)
    learned = told(swarm, "learn:complete")
    assert [one.generation for one in learned if isinstance(one, LearnComplete)] == [1, 2, 3, 4]


def test_what_becomes_of_an_agent_is_told(swarm: Swarm, background: Background, report: Report) -> None:
    swarm.register("bob", "coder", SonaConfig(dim=DIM))
    swarm.quarantine("bob", by="eve")
    assert told(swarm, "agent:quarantined") == [
        AgentQuarantined(agent="bob", generation=0, is_earned=False, by="eve"),
    ]
    report("ada", 0, 6)
    background.drain(0.0)
    report("ada", 6, 9)
    background.drain(0.0)
    swarm.rollback("ada", 1)
    swarm.quarantine("ada", by="eve")
    swarm.release("ada")
    background.merge("w", 0.0)
    swarm.rewind("ada-1", agent="ada")
    assert told(swarm, "agent:rolled_back", "agent:quarantined", "agent:released", "agent:rewound")[1:] == [
        AgentRolledBack(agent="ada", generation=3, version=1),
        AgentQuarantined(agent="ada", generation=4, is_earned=False, by="eve"),
        AgentReleased(agent="ada", generation=5, is_earned=False),
        AgentRewound(agent="ada", generation=6, version=0),
    ]


@pytest.mark.parametrize(
    ("believed", "verdict", "expected"),
    [
        ("trusted", "quarantined", [AgentQuarantined(agent="ada", generation=1, is_earned=True)]),
        ("quarantined", "trusted", [AgentReleased(agent="ada", generation=1, is_earned=True)]),
        ("quarantined", "quarantined", []),
        ("", "quarantined", []),
    ],
)
def test_what_a_consolidation_refused_or_no_longer_believes_is_told(
    swarm: Swarm, background: Background, report: Report, believed: str, verdict: str, expected: list[Body]
) -> None:
    report("ada", 0, 3)
    background.consolidate("ada", "w", 0.0)
    log = swarm.keys.agent("ada").log
    [(_, entry)] = to_entries(swarm.client.xrange(log))
    figures = decode("figures", entry[b"figures"])
    assert (figures["verdict"], entry[b"believed"]) == ("probation", b"probation")
    # As a consolidation that trained, lost at the gate and changed its mind about the agent writes it.
    figures |= {"verdict": verdict, "trained_on": 8, "held_out": 2, "loss_before": 0.5, "loss_after": 0.75}
    swarm.client.delete(log)
    fields = {**entry, b"figures": encode("figures", figures), b"believed": believed.encode()}
    swarm.client.xadd(log, fields)  # type: ignore[arg-type]  # bytes, as they are read
    background.merge("w", 0.0)
    _, learned, refused, *others = told(swarm, *(kind for kind in EVENTS if kind[:5] in ("agent", "learn")))
    assert isinstance(learned, LearnComplete)
    assert learned.update == "refused"
    assert refused == LearnRefused(
        agent="ada", generation=1, trained_on=8, held_out=2, loss_before=0.5, loss_after=0.75
    )
    assert others == expected


def test_an_outcome_that_cannot_be_used_is_told(swarm: Swarm, background: Background, report: Report) -> None:
    report("ada", 0, 3)
    place = swarm.outcomes("ada").append(b"no record", "a key", "a trajectory").stream_id
    background.drain(0.0)
    assert told(swarm, "outcome:dead") == [OutcomeDead(agent="ada", stream_id=place, generation=1)]


def test_what_was_forgotten_is_told_by_its_id(swarm: Swarm, background: Background, report: Report) -> None:
    report("ada", 0, 6)
    background.drain(0.0)
    [first, *_] = swarm.bank.patterns()
    swarm.forget(trajectory="ada-0", by="eve")
    swarm.forget(pattern=first.id)
    swarm.forget(agent="ada")
    assert told(swarm, "trajectory:forgotten", "pattern:forgotten", "agent:forgotten") == [
        TrajectoryForgotten(trajectory="ada-0", by="eve"),
        PatternForgotten(pattern=first.id),
        AgentForgotten(agent="ada"),
    ]


def test_the_ends_of_tasks_are_told(swarm: Swarm) -> None:
    done = swarm.submit("a task", role="coder", agent="ada").id
    claimed = swarm.tasks.claim("coder", "w", 30.0)
    assert claimed is not None
    swarm.tasks.succeed(claimed, "a result")
    dead = swarm.submit("a task", role="coder").id
    claimed = swarm.tasks.claim("coder", "w", 30.0)
    assert claimed is not None
    swarm.tasks.fail(claimed, "why it failed", retry=False)
    gone = swarm.submit("a task", role="coder").id
    swarm.tasks.cancel(gone)
    assert told(swarm) == [
        TaskDone(task=done, role="coder", agent="ada", attempts=1),
        TaskDead(task=dead, role="coder", agent="", attempts=1),
        TaskCancelled(task=gone, role="coder", agent="", attempts=0),
    ]


def test_who_follows_goes_on_behind_what_was_seen(swarm: Swarm) -> None:
    swarm.events.publish(BATCH)
    now = swarm.events.follow(patience_s=0.0)
    ids = [swarm.events.publish(BATCH) for _ in range(3)]
    assert [event.id for event in now] == ids
    assert now.position == ids[-1]
    assert [event.id for event in swarm.events.follow(after=ids[0], patience_s=0.0)] == ids[1:]
    assert [event.number for event in swarm.events.follow(after="beginning", patience_s=0.0)] == [1, 2, 3, 4]
    assert list(swarm.events.follow("task:dead", after="beginning", patience_s=0.0)) == []
    assert [event.id for event in swarm.events.latest(count=2)] == ids[1:]


def test_who_was_overtaken_is_told_how_much_is_gone(swarm: Swarm, client: Client) -> None:
    ids = [swarm.events.publish(BATCH) for _ in range(5)]
    client.xtrim(swarm.keys.events, maxlen=2, approximate=False)
    for types, rest in ((), ids[3:]), (("task:dead",), []):
        gap, *others = swarm.events.follow(*types, after=ids[0], patience_s=0.0)
        assert gap.body == Gap(missed=2)
        assert [event.id for event in others] == rest
        assert [event.id for event in swarm.events.follow(after=gap.id, patience_s=0.0)] == ids[3:]
    follower = swarm.events.follow(after=ids[-1], patience_s=0.0)
    client.delete(swarm.keys.events)
    swarm.events.publish(BATCH)
    assert [event.body for event in follower] == [Gap(missed=None), BATCH]


def test_the_stream_is_bounded(swarm: Swarm, client: Client) -> None:
    script = client.register_script(PUBLISH_EVENT)
    record = encode_event(BATCH)
    with client.pipeline(transaction=False) as pipeline:
        for _ in range(EVENTS_LENGTH + 500):
            script(keys=[swarm.keys.events], args=[BATCH.type, record], client=pipeline)
        pipeline.execute()
    assert EVENTS_LENGTH <= client.xlen(swarm.keys.events) <= EVENTS_LENGTH + 200
    [gap] = [event.body for event in swarm.events.follow("task:dead", after="beginning", patience_s=0.0)]
    assert gap == Gap(missed=EVENTS_LENGTH + 500 - client.xlen(swarm.keys.events))


def test_one_merge_tells_of_so_many_patterns_and_counts_the_rest(
    swarm: Swarm, background: Background, report: Report
) -> None:
    report("ada", 0, 2 * MAX_PATTERNS)
    background.drain(0.0)
    patterns = swarm.bank.patterns()
    events, left = stored_events(patterns * 2)
    assert (len(events), left) == (MAX_PATTERNS, 2 * len(patterns) - MAX_PATTERNS)
    [merge] = told(swarm, "merge:complete")
    assert isinstance(merge, MergeComplete)
    assert merge.stored - merge.untold == len(told(swarm, "pattern:stored")) == min(len(patterns), MAX_PATTERNS)


def test_a_log_that_cannot_be_read_holds_up_no_merge(
    swarm: Swarm, background: Background, report: Report, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    report("ada", 0, 3)
    background.consolidate("ada", "w", 0.0)
    log = swarm.keys.agent("ada").log
    client.delete(log)
    client.xadd(log, {"generation": "1", "cursor": "1-0", "figures": b"\xc1"})
    with caplog.at_level(logging.WARNING):
        assert background.merge("w", 0.0)["status"] == "published"
    [merge] = told(swarm, "merge:complete")
    assert isinstance(merge, MergeComplete)
    assert merge.untold == 1
    assert "is not told of" in caplog.text


def test_callbacks_that_hang_or_raise_hold_up_neither_learning_nor_others(
    swarm: Swarm, background: Background, report: Report, caplog: pytest.LogCaptureFixture
) -> None:
    release, heard = threading.Event(), list[Event]()

    def hang(event: Event) -> None:
        release.wait(60.0)

    def fail(event: Event) -> None:
        raise ValueError("a text of the callback")

    swarm.events.on("*", hang)
    swarm.events.on("*", fail)
    swarm.events.on(["learn:complete", "merge:complete"], heard.append)
    with caplog.at_level(logging.WARNING):
        report("ada", 0, 6)
        background.drain(0.0)
        wait_until(lambda: len(heard) == 2, 20.0, "the callback that works")
        count = len(types(swarm))
        wait_until(lambda: swarm.events.health()[1].handled == count, 20.0, "the callback that raises")
    hanging, failing, working = swarm.events.health()
    assert (hanging.handled, hanging.is_busy, failing.errors) == (0, True, count)
    assert failing.fault == "ValueError"
    assert "a text of the callback" not in caplog.text
    assert (working.errors, working.handled) == (0, 2)
    release.set()
    wait_until(lambda: swarm.events.health()[0].handled == count, 20.0, "the callback that hung")


def test_a_callback_that_exits_is_called_again(swarm: Swarm) -> None:
    heard: list[str] = []

    def exits(event: Event) -> None:
        heard.append(event.id)
        raise SystemExit(1)

    with swarm.events.on("agent:created", exits) as handle:
        for name in ("ada", "bob"):
            swarm.register(name)
        wait_until(lambda: handle.health().errors == 2, 20.0, "the callback that exits")
    assert len(heard) == 2


def test_a_callback_that_was_ended_hears_no_more(swarm: Swarm) -> None:
    heard: list[Event] = []
    with swarm.events.on("batch:complete", heard.append):
        swarm.events.publish(BATCH)
        wait_until(lambda: heard, 20.0, "the event")
    swarm.events.publish(BATCH)
    other: list[Event] = []
    swarm.events.on("batch:complete", other.append, after="beginning")
    wait_until(lambda: len(other) == 2, 20.0, "both events")
    assert len(heard) == 1
    assert len(swarm.events.health()) == 1


def test_an_event_loop_follows_and_can_be_cancelled(swarm: Swarm) -> None:
    async def follow() -> list[Event]:
        follower = swarm.events.follow("batch:complete")
        first = asyncio.ensure_future(anext(follower))
        await asyncio.to_thread(swarm.events.publish, BATCH)
        found = [await asyncio.wait_for(first, 20.0)]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(follower), 0.05)
        return found + [event async for event in swarm.events.follow(after="beginning", patience_s=0.0)]

    assert [event.body for event in asyncio.run(follow())] == [BATCH, BATCH]


def test_a_callback_goes_on_where_it_was_when_redis_comes_back(settings: Settings, own_redis: PrivateRedis) -> None:
    swarm = make_swarm(settings.model_copy(update={"redis_url": own_redis.url, "socket_timeout": 0.5}))
    heard: list[Event] = []
    swarm.events.on("batch:complete", heard.append)
    swarm.events.publish(BATCH)
    wait_until(lambda: heard, 20.0, "the first event")
    own_redis.kill()
    wait_until(lambda: swarm.events.health()[0].outages, 20.0, "the outage to be noticed")
    assert swarm.events.publish(BATCH) == ""
    assert swarm.events.untold == 1
    with pytest.raises(StoreUnavailableError):
        list(swarm.events.follow(after="beginning", patience_s=0.0))
    own_redis.start()
    swarm.events.publish(BATCH)
    wait_until(lambda: len(heard) == 2, 20.0, "the event after the outage")
    assert swarm.events.health()[0].fault.startswith("StoreUnavailableError")
    swarm.events.close()


def test_an_event_of_a_newer_program_stops_nobody(swarm: Swarm, client: Client) -> None:
    swarm.events.publish(BATCH)
    client.register_script(PUBLISH_EVENT)(keys=[swarm.keys.events], args=["of:tomorrow", b"?"])
    swarm.events.publish(BATCH)
    first, strange, last = swarm.events.follow("batch:complete", after="beginning", patience_s=0.0)
    assert first.body == last.body == BATCH
    assert isinstance(strange.body, Unreadable)
    assert strange.body.found == "of:tomorrow"


def test_what_cannot_be_followed_is_one_clear_error(swarm: Swarm) -> None:
    with pytest.raises(InputError, match=r"type must be .* got 'learn:done'"):
        swarm.events.on("learn:done", print)
    with pytest.raises(InputError, match="after must be now, beginning or the id of an event"):
        swarm.events.follow(after="yesterday")
    with pytest.raises(InputError, match="callback must be callable, got 7"):
        swarm.events.on("*", 7)  # type: ignore[arg-type]  # on purpose
    listeners = [swarm.events.on("task:dead", print) for _ in range(MAX_LISTENERS)]
    with pytest.raises(CapacityError, match=f"{MAX_LISTENERS} callbacks"):
        swarm.events.on("task:dead", print)
    listeners[0].close()
    swarm.events.on("task:dead", print)


def test_events_are_no_part_of_a_backup(swarm: Swarm) -> None:
    assert swarm.keys.is_transient(swarm.keys.events.encode())

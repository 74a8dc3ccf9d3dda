"""Rewind: the swarm is as if a trajectory, or an agent, had never been, and says what it could not undo."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from swarm_support import DIM, make_swarm, outcomes_in, some_outcome, some_vector

from swarm.errors import BoundsError, InputError, StaleWriterError, UnknownIdError
from swarm.services.background import Background
from swarm.services.consolidate import consolidate
from swarm.services.receipts import ReceiptState
from swarm.services.replica import Replica
from swarm.services.rewind import Rewinder
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.sona.clusters import Cluster
from swarm.sona.config import SonaConfig
from swarm.store.bank import BankStore
from swarm.store.connection import Client
from swarm.store.erase import erase_swarm
from swarm.store.versions import VersionStore
from swarm.wire.records import Weights
from swarm_agents import Agent

AGENT, OTHER = "coder-1", "coder-2"
WORDS = ("parse", "date", "log", "folder", "query", "column", "token", "vector", "queue", "lease")


class World:
    """One swarm with its background work, and the same life whoever lives it, but for what is left out."""

    def __init__(self, settings: Settings, client: Client, suffix: str) -> None:
        settings = settings.model_copy(update={"name": settings.name + suffix})
        self.settings = settings
        self.client = client
        self.swarm = make_swarm(settings, client)
        self.background = Background(settings, client)

    def report(self, agent: str, numbers: Collection[int], without: Collection[str] = ()) -> None:
        """Outcomes with words of their own, some of them in the same places as another agent's."""
        if self.swarm.agents.registration(agent) is None:
            self.swarm.register(agent, "coder", SonaConfig(dim=DIM, pattern_clusters=12))
        for number in numbers:
            outcome = some_outcome(number, agent)
            near = some_vector(number % 30) + 0.1 * some_vector(9_000 + number)
            text = " ".join(WORDS[(number * step) % len(WORDS)] for step in (1, 3, 7))
            if outcome.id not in without:
                self.swarm.record(replace(outcome, embedding=near, text=text), outcome.id)

    def learn(self, agent: str, numbers: Collection[int], without: Collection[str] = ()) -> None:
        self.report(agent, numbers, without)
        self.background.drain(0.0)

    def live(self, without: Collection[str] = (), agents: Sequence[str] = (AGENT, OTHER)) -> None:
        """Four rounds of two agents."""
        for first in range(0, 160, 40):
            for agent in agents:
                self.learn(agent, range(first, first + 40), without)


@pytest.fixture
def world(settings: Settings, client: Client) -> World:
    return World(settings, client, "")


@pytest.fixture
def clean(settings: Settings, client: Client) -> Iterator[World]:
    """A swarm that never saw what is taken out of `world`."""
    world = World(settings, client, "-clean")
    yield world
    erase_swarm(client, world.swarm.keys)


def assert_equal_banks(one: Swarm, other: Swarm) -> None:
    """Equal in everything that is stored of a pattern, sums to 1e-9."""
    banks = [{pattern.id: pattern for pattern in swarm.bank.patterns()} for swarm in (one, other)]
    assert banks[0].keys() == banks[1].keys()
    for name, pattern in banks[0].items():
        assert_equal_clusters(pattern, banks[1][name])


def assert_equal_clusters(one: Cluster, other: Cluster) -> None:
    np.testing.assert_allclose(one.sum_embedding, other.sum_embedding, atol=1e-9)
    for name in ("n", "sum_quality", "sum_quality2", "first_s", "last_s"):
        assert getattr(one, name) == pytest.approx(getattr(other, name), abs=1e-9)
    for name in ("action", "positive", "response", "label", "agents", "routes", "task_types", "exemplars"):
        assert getattr(one, name) == getattr(other, name)


def assert_equal_weights(one: Weights | None, other: Weights | None) -> None:
    assert (one is None) == (other is None)
    if one is not None and other is not None:
        for mine, yours in zip(one.base, other.base, strict=True):
            np.testing.assert_allclose(mine.up, yours.up, atol=1e-4)


def test_without_a_trajectory_the_bank_is_that_of_a_swarm_that_never_saw_it(world: World, clean: World) -> None:
    gone = "coder-1-57"
    world.live()
    clean.live(without=[gone])
    report = world.swarm.rewind(gone)
    assert_equal_banks(world.swarm, clean.swarm)
    [agent] = report.agents
    assert (agent.agent, agent.outcomes, agent.base, agent.replayed, agent.lost) == (AGENT, 1, 1, 119, 0)
    assert (report.patterns, report.bank_version) == (clean.swarm.bank.count(), world.swarm.bank.version())
    # And they go on alike.
    for one in (world, clean):
        one.learn(AGENT, range(160, 200))
        one.learn(OTHER, range(160, 200))
    assert_equal_banks(world.swarm, clean.swarm)


def test_without_a_trajectory_the_weights_of_a_lone_agent_are_those_of_one_that_never_saw_it(
    world: World, clean: World
) -> None:
    gone = "coder-1-57"
    world.live(agents=[AGENT])
    clean.live(agents=[AGENT], without=[gone])
    assert clean.swarm.agents.weights(AGENT) is not None
    world.swarm.rewind(gone)
    assert_equal_weights(world.swarm.agents.weights(AGENT), clean.swarm.agents.weights(AGENT))
    assert_equal_banks(world.swarm, clean.swarm)


def test_without_an_agent_the_bank_is_that_of_a_swarm_it_never_joined(world: World, clean: World) -> None:
    world.live()
    clean.live(agents=[OTHER])
    world.report(AGENT, range(160, 170))
    report = world.swarm.rewind(agent=AGENT)
    assert_equal_banks(world.swarm, clean.swarm)
    state = world.swarm.agents.state(AGENT)
    assert (state.processed, state.pending, state.consolidated, state.rewound) == (170, 0, 0, 170)
    assert (report.outcomes, report.lost) == (170, 0)
    assert world.swarm.agents.clusters(AGENT) == []
    assert world.swarm.agents.weights(AGENT) is None
    with pytest.raises(BoundsError, match="holds what was taken back"):
        world.swarm.rollback(AGENT, 3)
    # It may begin anew.
    world.learn(AGENT, range(170, 180))
    assert outcomes_in(world.swarm.agents.clusters(AGENT)) == 10


def test_receipts_and_status_say_what_was_taken_back(world: World) -> None:
    world.live(agents=[AGENT])
    world.swarm.rewind("coder-1-57")
    assert world.swarm.receipt(AGENT, "coder-1-57").state is ReceiptState.REWOUND
    assert world.swarm.receipt(AGENT, "coder-1-58").state is ReceiptState.SEARCHABLE
    assert world.swarm.wait(world.swarm.receipt(AGENT, "coder-1-57"), 0.0).state is ReceiptState.REWOUND
    [status] = world.swarm.status().agents
    assert (status.accepted, status.consolidated, status.pending, status.rewound, status.lost) == (160, 159, 0, 1, 0)
    newest = world.swarm.history(AGENT)[0]
    assert (newest.kind, newest.parent, newest.cause, newest.outcomes) == ("rewind", 1, "trajectory coder-1-57", 119)


def test_a_trajectory_that_waits_is_never_learned(world: World, clean: World) -> None:
    world.learn(AGENT, range(40))
    world.report(AGENT, range(40, 50))
    report = world.swarm.rewind("coder-1-45")
    assert (report.outcomes, report.agents[0].generation) == (1, 0)
    assert world.swarm.receipt(AGENT, "coder-1-45").state is ReceiptState.REWOUND
    fresh = Agent(AGENT, swarm=world.swarm)
    world.background.drain(0.0)
    assert world.swarm.receipt(AGENT, "coder-1-45").state is ReceiptState.REWOUND
    clean.learn(AGENT, range(40))
    clean.learn(AGENT, range(40, 50), without=["coder-1-45"])
    assert_equal_banks(world.swarm, clean.swarm)
    state = world.swarm.agents.state(AGENT)
    assert (state.processed, state.rewound, state.consolidated) == (50, 1, 49)
    # A new process learns at once what no generation contains, but not what was taken back.
    assert fresh.instant_updates == 9


def test_versions_that_held_it_cannot_be_rolled_back_to(world: World) -> None:
    world.live(agents=[AGENT])
    world.swarm.rewind("coder-1-57")
    assert [version.version for version in world.swarm.history(AGENT) if version.can_roll_back] == [1]
    for version in (2, 3, 4):
        with pytest.raises(BoundsError, match="holds what was taken back"):
            world.swarm.rollback(AGENT, version)
    world.swarm.rollback(AGENT, 1)
    assert outcomes_in(world.swarm.agents.clusters(AGENT)) == 40


def test_what_was_rolled_away_cannot_come_back_either(world: World) -> None:
    world.live(agents=[AGENT])
    world.swarm.rollback(AGENT, 1)
    before = {cluster.id: cluster.n for cluster in world.swarm.agents.clusters(AGENT)}
    report = world.swarm.rewind("coder-1-57")
    assert (report.agents[0].replayed, report.agents[0].base) == (0, 5)
    assert {cluster.id: cluster.n for cluster in world.swarm.agents.clusters(AGENT)} == before
    with pytest.raises(BoundsError, match="holds what was taken back"):
        world.swarm.rollback(AGENT, 2)
    world.swarm.rollback(AGENT, 1)


def test_two_rewinds_follow_one_another(world: World, clean: World) -> None:
    gone = ["coder-1-57", "coder-1-12", "coder-1-130"]
    world.live()
    clean.live(without=gone)
    for trajectory in gone:
        world.swarm.rewind(trajectory)
    assert_equal_banks(world.swarm, clean.swarm)
    assert world.swarm.agents.state(AGENT).rewound == 3


def test_a_rewind_that_was_done_already_changes_nothing(world: World) -> None:
    world.live()
    first = world.swarm.rewind("coder-1-57")
    # Who learns from now on learns from a bank without it.
    world.learn(OTHER, range(160, 200))
    state, version = world.swarm.agents.state(AGENT), world.swarm.bank.version()
    again = world.swarm.rewind("coder-1-57")
    assert (again.outcomes, again.agents[0].generation) == (0, first.agents[0].generation)
    assert again.dependents == ()
    assert (world.swarm.agents.state(AGENT), world.swarm.bank.version()) == (state, version)


@pytest.mark.parametrize("agent", [None, AGENT])
@pytest.mark.parametrize("step", ["_settle", "_merge", "_retrain_all"])
def test_a_rewind_that_was_killed_is_run_again(
    world: World, clean: World, monkeypatch: pytest.MonkeyPatch, step: str, agent: str | None
) -> None:
    world.live()
    gone = None if agent else "coder-1-57"
    clean.live(without=[gone] if gone else (), agents=[OTHER] if agent else (AGENT, OTHER))

    def killed(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Rewinder, step, killed)
        with pytest.raises(KeyboardInterrupt):
            world.swarm.rewind(gone, agent=agent)
    world.swarm.rewind(gone, agent=agent)
    assert_equal_banks(world.swarm, clean.swarm)
    expected = 160 if agent else 1
    assert world.swarm.agents.state(AGENT).rewound == expected


def test_beyond_the_versions_that_are_kept_everything_is_learned_again_from_the_stream(
    world: World, clean: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swarm.store.commit.UNDO_VERSIONS", 1)
    world.live(agents=[AGENT])
    clean.live(agents=[AGENT], without=["coder-1-57"])
    report = world.swarm.rewind("coder-1-57")
    assert (report.agents[0].base, report.agents[0].replayed, report.lost) == (0, 159, 0)
    assert_equal_banks(world.swarm, clean.swarm)


def test_what_the_stream_does_not_hold_any_more_is_reported_as_lost(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swarm.store.commit.UNDO_VERSIONS", 1)
    world.live(agents=[AGENT])
    world.client.xtrim(world.swarm.keys.agent(AGENT).stream, maxlen=110, approximate=False)
    report = world.swarm.rewind("coder-1-57")
    assert (report.outcomes, report.lost, report.agents[0].replayed) == (1, 50, 109)
    assert outcomes_in(world.swarm.agents.clusters(AGENT)) == 109


def test_a_trajectory_whose_outcome_is_trimmed_goes_with_all_that_are(world: World) -> None:
    world.live(agents=[AGENT])
    exemplars = {e.trajectory_id for cluster in world.swarm.agents.clusters(AGENT) for e in cluster.exemplars}
    gone = next(name for name in sorted(exemplars) if int(name.rsplit("-")[-1]) < 60)
    world.client.xtrim(world.swarm.keys.agent(AGENT).stream, maxlen=100, approximate=False)
    report = world.swarm.rewind(gone)
    assert (report.outcomes, report.lost, report.agents[0].replayed) == (1, 59, 100)
    left = {e.trajectory_id for cluster in world.swarm.agents.clusters(AGENT) for e in cluster.exemplars}
    assert gone not in left
    state = world.swarm.agents.state(AGENT)
    assert (state.consolidated, state.rewound) == (100, 60)


def conflicted(world: World, agent: str, first: int, last: int) -> None:
    """Outcomes from which an adapter learns, once the bank knows both actions."""
    right, wrong = some_vector(1), some_vector(2)
    if world.swarm.agents.registration(agent) is None:
        world.swarm.register(agent, "coder", SonaConfig(dim=DIM))
    for number in range(first, last):
        near, far = (right, wrong) if number // 2 % 2 else (wrong, right)
        query = 0.7 * near + 0.5 * far + 0.15 * some_vector(100 + number)
        action = ("wrong", "right")[number % 2]
        quality = float((action == "right") == (near is right))
        outcome = replace(some_outcome(number, agent), embedding=query, action=action, quality=quality)
        world.swarm.record(outcome, outcome.id)


@pytest.fixture
def taught(world: World) -> World:
    """A swarm in which coder-2 trained its adapter against what coder-1 had put into the bank."""
    world.swarm.register(AGENT, "coder", SonaConfig(dim=DIM))
    for number, action in enumerate(("right", "wrong")):
        outcome = replace(
            some_outcome(number), id=action, embedding=some_vector(number + 1), action=action, quality=1.0
        )
        world.swarm.record(outcome, action)
    world.background.drain(0.0)
    conflicted(world, OTHER, 0, 240)
    world.background.drain(0.0)
    assert world.swarm.agents.weights(OTHER) is not None
    return world


def test_an_adapter_that_was_trained_against_it_is_trained_again(taught: World) -> None:
    before = taught.swarm.agents.weights(OTHER)
    clusters = {cluster.id: cluster for cluster in taught.swarm.agents.clusters(OTHER)}
    report = taught.swarm.rewind(agent=AGENT)
    [dependent] = report.dependents
    assert (dependent.agent, dependent.generation) == (OTHER, 2)
    after = taught.swarm.agents.weights(OTHER)
    # Nobody knows where "wrong" works any more, so there is nothing to bend away from.
    assert before is not None
    assert after is None or not np.allclose(after.base[0].up, before.base[0].up)
    for cluster in taught.swarm.agents.clusters(OTHER):
        assert_equal_clusters(cluster, clusters[cluster.id])
    assert taught.swarm.history(OTHER)[0].kind == "retrain"
    assert not any(version.version == 1 and version.can_roll_back for version in taught.swarm.history(OTHER))
    assert taught.swarm.rewind(agent=AGENT).dependents == ()


def test_dependents_that_are_kept_are_named_with_the_reason(taught: World) -> None:
    kept = taught.swarm.rewind("right", retrain=False)
    assert [(d.agent, d.generation, d.why) for d in kept.dependents] == [(OTHER, 0, "not asked for")]
    taught.client.xtrim(taught.swarm.keys.agent(OTHER).stream, maxlen=230, approximate=False)
    before = taught.swarm.agents.state(OTHER)
    report = taught.swarm.rewind("wrong")
    [dependent] = report.dependents
    assert (dependent.generation, dependent.why) == (0, "10 of its outcomes are not in its stream any more")
    assert taught.swarm.agents.state(OTHER) == before


def test_who_learned_before_it_came_is_no_dependent(world: World) -> None:
    world.learn(OTHER, range(80))
    world.learn(OTHER, range(80, 300))
    assert world.swarm.agents.weights(OTHER) is not None
    world.learn(AGENT, range(20))
    assert world.swarm.rewind(agent=AGENT).dependents == ()


def test_who_began_with_its_weights_begins_anew(taught: World) -> None:
    taught.swarm.register("coder-3", "coder")
    assert taught.swarm.warm_start("coder-3").sources == {OTHER: 1.0}
    report = taught.swarm.rewind(agent=OTHER)
    [dependent] = report.dependents
    assert (dependent.agent, dependent.generation) == ("coder-3", 2)
    assert taught.swarm.agents.weights("coder-3") is None
    assert taught.swarm.history("coder-3")[0].kind == "retrain"


def test_a_trajectory_is_found_whoever_reported_it_or_only_where_it_is_asked_for(world: World) -> None:
    for agent in (AGENT, OTHER):
        world.report(agent, range(10))
        world.swarm.record(replace(some_outcome(77, agent), id="shared"), f"{agent}-shared")
    world.background.drain(0.0)
    assert [agent.agent for agent in world.swarm.rewind("shared", agent=OTHER).agents] == [OTHER]
    assert world.swarm.receipt(AGENT, f"{AGENT}-shared").state is ReceiptState.SEARCHABLE
    assert [agent.agent for agent in world.swarm.rewind("shared").agents] == [AGENT, OTHER]
    assert world.swarm.receipt(AGENT, f"{AGENT}-shared").state is ReceiptState.REWOUND
    assert outcomes_in(world.swarm.bank.patterns()) == 20


def test_what_is_unknown_is_an_error_and_changes_nothing(world: World) -> None:
    world.learn(AGENT, range(10))
    world.learn(OTHER, range(1))
    state = world.swarm.agents.state(AGENT)
    with pytest.raises(UnknownIdError, match="trajectory 'never': no outcome of it is known of any of 2 agents"):
        world.swarm.rewind("never")
    with pytest.raises(UnknownIdError, match="'nobody' is not registered"):
        world.swarm.rewind(agent="nobody")
    with pytest.raises(UnknownIdError, match="of agent coder-1"):
        world.swarm.rewind("never", agent=AGENT)
    with pytest.raises(InputError, match="got neither"):
        world.swarm.rewind()
    assert world.swarm.agents.state(AGENT) == state


class WatchedReplica(Replica):
    """Lets something happen in the middle of a consolidation."""

    def __init__(self, bank: BankStore, config: SonaConfig, meanwhile: Callable[[], object]) -> None:
        super().__init__(bank, config)
        self._meanwhile = meanwhile

    def refresh(self) -> bool:
        self._meanwhile()
        return super().refresh()


def test_a_consolidation_that_was_under_way_cannot_bring_it_back(world: World, clean: World) -> None:
    world.learn(AGENT, range(40))
    world.report(AGENT, range(40, 60))

    def overtake() -> None:
        world.client.delete(world.swarm.keys.agent(AGENT).lease)
        world.swarm.rewind("coder-1-45")

    replica = partial(WatchedReplica, world.swarm.bank, meanwhile=overtake)
    with pytest.raises(StaleWriterError):
        consolidate(AGENT, world.swarm.agents, world.swarm.outcomes(AGENT), replica, 30.0)
    world.background.drain(0.0)
    clean.learn(AGENT, range(40))
    clean.learn(AGENT, range(40, 60), without=["coder-1-45"])
    assert_equal_banks(world.swarm, clean.swarm)


def sums(clusters: Sequence[Cluster]) -> tuple[float, float]:
    """How many outcomes, and the sum of their numbers: each has its own as its latency."""
    routes = [tally for cluster in clusters for tally in cluster.routes.values()]
    return sum(tally.n for tally in routes), sum(tally.sum_latency_ms for tally in routes)


@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_done_in_any_order_the_content_is_what_was_learned_and_not_taken_back(
    world: World, seed: int
) -> None:
    rng = random.Random(seed)
    swarm, reported, begun = world.swarm, 0, 0
    waiting: set[int] = set()
    held: dict[int, frozenset[int]] = {0: frozenset()}
    gone: set[int] = set()
    world.report(AGENT, ())
    for _ in range(40):
        generation = swarm.agents.state(AGENT).generation
        content = held[generation]
        what = rng.choice(
            ("learn", "learn", "learn", "roll back", "rewind", "rewind agent" if rng.random() < 0.2 else "")
        )
        if what == "learn":
            more = range(reported, reported := reported + rng.randrange(1, 12))
            world.report(AGENT, more)
            waiting |= set(more)
            if rng.random() < 0.7:
                world.background.consolidate(AGENT, "worker", 0.0)
                content, waiting = content | (waiting - gone), set()
        elif what == "roll back" and (versions := VersionStore(world.client, swarm.keys).reachable(AGENT)):
            version = rng.choice(versions)
            assert swarm.rollback(AGENT, version).generation == generation + 1
            content = held[version]
        elif what == "rewind" and reported > begun:
            number = rng.randrange(begun, reported)
            swarm.rewind(f"{AGENT}-{number}")
            gone.add(number)
            content -= {number}
        elif what == "rewind agent":
            swarm.rewind(agent=AGENT)
            gone |= set(range(reported))
            content, waiting, begun = frozenset(), set(), reported
        state = swarm.agents.state(AGENT)
        held[state.generation] = frozenset(content)
        assert sums(swarm.agents.clusters(AGENT)) == (len(content), sum(content))
        assert (state.accepted, state.pending) == (reported, len(waiting))
        assert state.rewound == len(gone - waiting)
        for version in VersionStore(world.client, swarm.keys).reachable(AGENT):
            assert not held[version] & gone
    world.background.merge("worker", 0.0)
    assert sums(swarm.bank.patterns()) == (len(content), sum(content))

"""Rollback: a ranking comes back exactly, as a version of its own, and nothing is lost by it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from support import PrivateRedis
from swarm_support import DIM, Report, make_swarm, outcomes_in, some_outcome, some_vector

from swarm.errors import BoundsError, StaleWriterError, UnknownIdError
from swarm.services.background import Background
from swarm.services.consolidate import consolidate
from swarm.services.replica import Replica
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.sona.config import SonaConfig
from swarm.sona.vectors import Vector, unit
from swarm.store.bank import BankStore
from swarm.store.connection import Client, connect
from swarm_agents.learner import Learner

QUERIES = [some_vector(5_000 + number) for number in range(40)]
AGENT = "coder-1"


def ranking(swarm: Swarm, learner: Learner) -> list[list[tuple[str, float]]]:
    """What an agent finds for many queries, and every score to its last bit."""
    swarm.replica.refresh()
    learner.follow()
    return [[(hit.action, hit.score) for hit in swarm.replica.rank(learner.bend(query), 10)] for query in QUERIES]


def new_process(settings: Settings, client: Client) -> tuple[Swarm, Learner]:
    """The swarm as a process that begins now sees it."""
    swarm = make_swarm(settings, client)
    return swarm, Learner(AGENT, swarm, SonaConfig(dim=DIM))


def contested(number: int) -> Vector:
    """A query between what is right for it and what it is nearer to, so that there is something to learn."""
    right, wrong = some_vector(1), some_vector(2)
    return unit(np.asarray(0.6 * right + 0.8 * wrong + 0.1 * some_vector(100 + number), dtype=np.float32))


@pytest.fixture
def teach(swarm: Swarm) -> Callable[[int, int], None]:
    """Report outcomes FIRST..LAST-1 that bend queries."""

    def teach(first: int, last: int) -> None:
        if swarm.agents.registration(AGENT) is None:
            swarm.register(AGENT, "coder", SonaConfig(dim=DIM))
        for number in range(first, last):
            action, quality = ("right", 1.0) if number % 2 else ("wrong", 0.0)
            vector = contested(number)
            if number < 2:
                # Where each is at home it works: these two found the clusters that compete.
                vector, quality = some_vector(2 - number), 1.0
            outcome = replace(some_outcome(number), embedding=vector, action=action, quality=quality)
            swarm.record(outcome, f"key-{number}")

    return teach


def test_a_ranking_comes_back_exactly(
    swarm: Swarm, settings: Settings, client: Client, background: Background, teach: Callable[[int, int], None]
) -> None:
    teach(0, 2)
    background.drain(0.0)
    teach(2, 242)
    background.drain(0.0)
    long_lived, learner = new_process(settings, client)
    expected = ranking(long_lived, learner)
    assert swarm.agents.weights(AGENT) is not None
    for last in (302, 362):
        teach(last - 60, last)
        background.drain(0.0)
        learner.learn(some_outcome(1))
    assert ranking(long_lived, learner) != expected
    done = swarm.rollback(AGENT, 2)
    assert (done.version, done.generation) == (2, 5)
    background.drain(0.0)
    assert ranking(long_lived, learner) == expected
    assert ranking(*new_process(settings, client)) == expected


def test_a_rollback_can_be_undone_and_learning_goes_on(
    swarm: Swarm, settings: Settings, client: Client, background: Background, report: Report
) -> None:
    report(AGENT, 0, 60)
    background.drain(0.0)
    report(AGENT, 60, 120)
    background.drain(0.0)
    newest = ranking(*new_process(settings, client))
    swarm.rollback(AGENT, 1)
    background.drain(0.0)
    state = swarm.agents.state(AGENT)
    assert (state.generation, state.processed, state.pending, state.age) == (3, 120, 0, 1)
    assert outcomes_in(swarm.agents.clusters(AGENT)) == 60
    swarm.rollback(AGENT, 2)
    background.drain(0.0)
    assert ranking(*new_process(settings, client)) == newest
    report(AGENT, 120, 130)
    background.drain(0.0)
    assert outcomes_in(swarm.agents.clusters(AGENT)) == 130


def test_before_anything_was_learned_is_a_version_too(
    swarm: Swarm, settings: Settings, client: Client, background: Background, teach: Callable[[int, int], None]
) -> None:
    teach(0, 2)
    background.drain(0.0)
    teach(2, 242)
    background.drain(0.0)
    process, learner = new_process(settings, client)
    learner.follow()
    swarm.rollback(AGENT, 0)
    background.drain(0.0)
    assert ranking(process, learner) == [[] for _ in QUERIES]
    assert swarm.agents.weights(AGENT) is None
    assert learner.adapter.trained == ()
    assert swarm.bank.count() == 0


def test_what_followed_a_rollback_is_what_would_have_followed_the_version(
    swarm: Swarm, background: Background, report: Report
) -> None:
    config = SonaConfig(dim=DIM, pattern_clusters=10)
    swarm.register(AGENT, "coder", config)
    swarm.register("twin", "coder", config)

    def learn(agent: str, first: int, last: int) -> None:
        for number in range(first, last):
            # The twin has the same trajectories: clusters are named after them.
            swarm.record(replace(some_outcome(number), agent=agent), f"key-{number}")
        background.consolidate(agent, "worker", 0.0)

    for agent in (AGENT, "twin"):
        learn(agent, 0, 60)
        if agent == AGENT:
            learn(agent, 500, 560)
            swarm.rollback(agent, 1)
        learn(agent, 60, 120)
    clusters = [swarm.agents.clusters(agent) for agent in (AGENT, "twin")]
    assert len(clusters[0]) == 20
    one, other = ([(c.id, c.n, c.sum_quality, c.sum_embedding.tobytes()) for c in found] for found in clusters)
    assert one == other


def test_versions_survive_the_death_of_redis(settings: Settings, own_redis: PrivateRedis) -> None:
    own = settings.model_copy(update={"redis_url": own_redis.url, "socket_timeout": 2.0})
    swarm = make_swarm(own, connect(own))
    swarm.register(AGENT, "coder", SonaConfig(dim=DIM))
    expected = []
    for number in range(90):
        swarm.record(some_outcome(number), f"key-{number}")
        if number in (29, 59, 89):
            Background(own).drain(0.0)
            expected.append(ranking(*new_process(own, connect(own))))
    own_redis.kill()
    own_redis.start()
    make_swarm(own, connect(own)).rollback(AGENT, 1)
    own_redis.kill()
    own_redis.start()
    Background(own).drain(0.0)
    assert ranking(*new_process(own, connect(own))) == expected[0]


class WatchedReplica(Replica):
    """Lets something happen in the middle of a consolidation."""

    def __init__(self, bank: BankStore, config: SonaConfig, meanwhile: Callable[[], object]) -> None:
        super().__init__(bank, config)
        self._meanwhile = meanwhile

    def refresh(self) -> bool:
        self._meanwhile()
        return super().refresh()


def test_a_consolidation_that_a_rollback_overtakes_is_refused_and_loses_nothing(
    swarm: Swarm, client: Client, background: Background, report: Report
) -> None:
    for last in (20, 40):
        report(AGENT, last - 20, last)
        background.consolidate(AGENT, "worker", 0.0)
    report(AGENT, 40, 60)

    def overtake() -> None:
        client.delete(swarm.keys.agent(AGENT).lease)
        swarm.rollback(AGENT, 1)

    replica = partial(WatchedReplica, swarm.bank, meanwhile=overtake)
    with pytest.raises(StaleWriterError):
        consolidate(AGENT, swarm.agents, swarm.outcomes(AGENT), replica, 30.0)
    assert swarm.agents.state(AGENT).pending == 20
    background.drain(0.0)
    assert outcomes_in(swarm.agents.clusters(AGENT)) == 40


def test_versions_that_cannot_be_reached_are_refused_with_those_that_can(
    swarm: Swarm, background: Background, report: Report
) -> None:
    with pytest.raises(UnknownIdError, match="'nobody' is not registered"):
        swarm.rollback("nobody", 1)
    report(AGENT, 0, 5)
    with pytest.raises(BoundsError, match="version 0 is what agent coder-1 holds now"):
        swarm.rollback(AGENT, 0)
    for last in (10, 15):
        background.consolidate(AGENT, "worker", 0.0)
        report(AGENT, last - 5, last)
    background.consolidate(AGENT, "worker", 0.0)
    with pytest.raises(BoundsError, match=r"version must be in 0\.\.2 for agent coder-1, got 9"):
        swarm.rollback(AGENT, 9)
    with pytest.raises(BoundsError, match="version"):
        swarm.rollback(AGENT, -1)
    assert swarm.agents.state(AGENT).generation == 3


def test_the_history_shows_every_version_and_what_can_be_returned_to(
    swarm: Swarm, background: Background, teach: Callable[[int, int], None]
) -> None:
    teach(0, 2)
    background.drain(0.0)
    teach(2, 242)
    background.drain(0.0)
    swarm.rollback(AGENT, 1)
    rolled, learned, first = swarm.history(AGENT)
    assert (rolled.version, rolled.kind, rolled.parent, rolled.is_current) == (3, "rollback", 1, True)
    assert (learned.version, learned.kind, learned.update, learned.outcomes) == (2, "learned", "promoted", 240)
    assert learned.loss_before is not None
    assert learned.loss_after is not None
    assert learned.loss_after < learned.loss_before
    assert (first.update, first.loss_before, first.outcomes) == ("", None, 2)
    assert [version.can_roll_back for version in (rolled, learned, first)] == [False, True, True]
    assert learned.at_s <= rolled.at_s
    assert learned.figures["held_out"] > 0
    with pytest.raises(UnknownIdError):
        swarm.history("nobody")

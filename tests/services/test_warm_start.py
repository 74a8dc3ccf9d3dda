"""A new agent begins with what the others' adapters do, as a version of its own."""

from __future__ import annotations

import numpy as np
import pytest
from swarm_support import DIM, present, some_outcome, some_vector
from warm_start_support import train

from swarm.errors import UnknownIdError
from swarm.services.background import Background
from swarm.services.swarm import Swarm
from swarm.services.warm_start import WARM_START
from swarm.sona.adapter import delta_of
from swarm.sona.config import SonaConfig
from swarm.sona.lora import LoraPair
from swarm.sona.vectors import Vector

QUERIES = np.array([some_vector(seed) for seed in range(5)])
CONFIG = SonaConfig(dim=DIM, base_lora_rank=16)


def moved(pairs: tuple[LoraPair, ...]) -> Vector:
    """What the pairs add to some queries."""
    return present(delta_of(pairs, QUERIES))


def base_of(swarm: Swarm, agent: str) -> tuple[LoraPair, ...]:
    return present(swarm.agents.weights(agent)).base


def test_a_new_agent_does_what_the_others_do_by_outcomes_and_gain(swarm: Swarm) -> None:
    a, b, c = train(swarm, "a", 4, 0.1), train(swarm, "b", 2, 0.6), train(swarm, "c", 5, 0.0)
    swarm.register("new", "coder", CONFIG)
    start = swarm.warm_start("new")
    assert start.sources == {"a": pytest.approx(0.25), "b": pytest.approx(0.75)}
    expected = 0.25 * moved(a.base) + 0.75 * moved(b.base)
    assert np.abs(moved(base_of(swarm, "new")) - expected).max() < 1e-4
    assert start.lost < 1e-6
    assert c.base


def test_weights_whose_gain_nobody_recorded_count_by_their_outcomes(swarm: Swarm) -> None:
    train(swarm, "a", 3, None)
    train(swarm, "b", 1, None)
    swarm.register("new", "coder", CONFIG)
    assert swarm.warm_start("new").sources == {"a": 0.75, "b": 0.25}


def test_a_warm_start_is_a_version_that_says_where_it_comes_from(swarm: Swarm) -> None:
    train(swarm, "a", 3, 0.1)
    swarm.register("new", "coder", CONFIG)
    start = swarm.warm_start("new")
    version = swarm.history("new")[0]
    assert (version.version, version.kind, version.is_current) == (1, WARM_START, True)
    assert version.figures == {"sources": {"a": 1.0}, "lost": start.lost}
    assert swarm.agents.state("new").weights_generation == start.generation == 1
    swarm.rollback("new", 0)
    assert swarm.agents.weights("new") is None


def test_only_agents_of_the_wanted_roles_go_in(swarm: Swarm) -> None:
    train(swarm, "a", 3, 0.1, role="coder")
    train(swarm, "b", 3, 0.1, role="tester")
    swarm.register("new", "coder", CONFIG)
    with pytest.raises(UnknownIdError, match="no agent has the role 'cook'"):
        swarm.warm_start("new", roles=["cook"])
    assert swarm.warm_start("new", roles=["tester"]).sources == {"b": 1.0}


def test_an_agent_that_has_learned_already_keeps_what_it_has(swarm: Swarm) -> None:
    own = train(swarm, "a", 3, 0.1)
    train(swarm, "b", 3, 0.1)
    start = swarm.warm_start("a")
    assert (start.generation, start.sources) == (0, {})
    assert (base_of(swarm, "a")[0].up == own.base[0].up).all()


def test_without_trained_agents_a_new_one_begins_as_the_identity(swarm: Swarm) -> None:
    swarm.register("old", "coder", CONFIG)
    swarm.register("new", "coder", CONFIG)
    assert swarm.warm_start("new").sources == {}
    assert swarm.agents.weights("new") is None
    assert swarm.history("new") == []


def test_inherited_weights_are_not_inherited_again_as_if_they_were_another_agents(swarm: Swarm) -> None:
    train(swarm, "a", 3, 0.1)
    for name in ("second", "third"):
        swarm.register(name, "coder", CONFIG)
        assert swarm.warm_start(name).sources == {"a": 1.0}


def test_the_first_consolidation_goes_on_from_the_warm_start(swarm: Swarm, background: Background) -> None:
    train(swarm, "a", 3, 0.1)
    swarm.register("new", "coder", CONFIG)
    swarm.warm_start("new")
    before = moved(base_of(swarm, "new"))
    for number in range(3):
        swarm.record(some_outcome(number, "new"), f"new-{number}")
    background.drain(0.0)
    state = swarm.agents.state("new")
    assert (state.generation, state.consolidated, state.age) == (2, 3, 1)
    # Nothing was known to train against yet, so the gate had nothing to promote.
    assert (moved(base_of(swarm, "new")) == before).all()
    assert swarm.bank.merged()["new"].generation == 2


def test_an_agent_that_nobody_registered_cannot_start(swarm: Swarm) -> None:
    with pytest.raises(UnknownIdError, match="'nobody' is not registered"):
        swarm.warm_start("nobody")

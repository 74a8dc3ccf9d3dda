"""Replay: configurations are compared on outcomes that they have not learned from."""

from __future__ import annotations

import numpy as np
import pytest
from sona_support import World, cluster

from swarm.sona.config import SonaConfig
from swarm.sona.replay import cross_validated, folds_of, gain_in, judged, paired, replayed
from swarm.sona.reservoir import Reservoir

DIM = 32
CONFIG = SonaConfig(dim=DIM, base_lora_lr=0.01, base_epochs=5)


def outcomes_of(n: int, world: World) -> Reservoir:
    """Each tries the right action or, every fourth, another one."""
    queries, labels = world.draw(np.random.default_rng(0), n)
    right = np.arange(n) % 4 > 0
    actions = [str(k if ok else (k + 1) % 12) for k, ok in zip(labels, right, strict=True)]
    ids = [f"outcome-{i}" for i in range(n)]
    return Reservoir.made(ids, queries.astype(np.float16), actions, right.astype(np.float32))


@pytest.fixture(scope="module")
def world() -> World:
    return World.make(3)


@pytest.fixture(scope="module")
def outcomes(world: World) -> Reservoir:
    return outcomes_of(400, world)


def test_folds_are_even_and_hang_on_the_ids_alone(outcomes: Reservoir) -> None:
    folds = folds_of(outcomes, 4)
    assert np.bincount(folds).min() > 75
    backwards = outcomes.take(np.arange(len(outcomes))[::-1])
    assert (folds_of(backwards, 4)[::-1] == folds).all()


def test_nothing_of_a_fold_is_learned_before_it_judges(outcomes: Reservoir) -> None:
    folds = folds_of(outcomes, 4)
    engine = replayed(CONFIG, outcomes.take(np.flatnonzero(folds != 0)), {}, "ada")
    learned = {e.trajectory_id.removesuffix("/again") for c in engine.bank.clusters() for e in c.exemplars}
    sampled = {name.removesuffix("/again") for name in engine.reservoir.ids}
    aside = {outcomes.ids[row] for row in np.flatnonzero(folds == 0)}
    assert learned
    assert not aside & (learned | sampled)
    assert engine.promotions > 0


def test_every_outcome_judges_once_and_the_same_replay_gives_the_same_bits(outcomes: Reservoir) -> None:
    first, second = (list(cross_validated(CONFIG, outcomes, {}, "ada", 4)) for _ in range(2))
    assert sorted(np.concatenate([rows for rows, _ in first]).tolist()) == list(range(len(outcomes)))
    for (_, one), (_, other) in zip(first, second, strict=True):
        assert one.losses.tobytes() == other.losses.tobytes()
        assert one.reciprocal_ranks.tobytes() == other.reciprocal_ranks.tobytes()


def test_what_others_know_counts(world: World, outcomes: Reservoir) -> None:
    none = outcomes.take(np.arange(0))
    library = [cluster(f"home-{k}", centre, action=str(k)) for k, centre in enumerate(world.centres)]
    assert judged(replayed(CONFIG, none, {}, "ada"), outcomes).mrr == 0.0
    assert judged(replayed(CONFIG, none, {"library": library}, "ada"), outcomes).mrr > 0.3


def test_ranks_and_losses_worked_by_hand() -> None:
    eye = np.eye(16, dtype=np.float32)
    library = [cluster(f"home-{k}", eye[k], action=str(k)) for k in range(3)]
    engine = replayed(SonaConfig(dim=16), Reservoir.empty(16), {"library": library}, "ada")
    x = (eye[0] + 0.5 * eye[1]) / np.sqrt(np.float32(1.25))
    asked = Reservoir.made(
        ["a", "b", "c", "d"], np.array([x] * 4).astype(np.float16), ["0", "1", "9", "0"], np.array([1, 1, 1, 0], "f4")
    )
    found = judged(engine, asked)
    assert found.reciprocal_ranks[:3].tolist() == [1.0, 0.5, 0.0]
    assert np.isnan(found.reciprocal_ranks[3])
    assert found.mrr == pytest.approx(0.5)
    expected = engine.bank.index.expected(asked.queries, asked.queries, asked.actions)
    assert found.losses[0] == pytest.approx(-np.log(expected[0]), rel=1e-2)
    assert found.losses[3] == pytest.approx(-np.log1p(-expected[3]), rel=1e-2)
    assert (gain_in("mrr")(found)[:3] == found.reciprocal_ranks[:3]).all()
    assert (gain_in("loss")(found) == -found.losses).all()


def test_a_difference_of_one_pair_has_no_error() -> None:
    assert paired(np.array([1.0], "f4"), np.array([0.0], "f4")) == (0.0, float("inf"))

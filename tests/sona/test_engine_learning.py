"""That it learns: from bandit feedback (right or wrong about what was tried), where ranking by similarity fails."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sona_support import World, adapted_success, bandit, seeded, success

from swarm.sona import SonaConfig

SEEDS = range(4)


def frozen_and_learned(
    seed: int, config: SonaConfig, *, keep_clusters: bool = False, coin: bool = False
) -> tuple[float, float]:
    """Success on queries held out, before and after 1,600 of them with feedback."""
    world = World.make(seed)
    engine = seeded(world.centres, replace(config, seed=seed))
    queries, labels = world.draw(np.random.default_rng([seed, 2]), 400)
    # Over clusters that stay as they were at the start the novelty guard would hide what the adapter has learned.
    measure = adapted_success if keep_clusters and not coin else success
    before = measure(engine, queries, labels)
    bandit(engine, world, seed, keep_clusters=keep_clusters, coin=coin)
    return before, measure(engine, queries, labels)


def gains(config: SonaConfig, *, keep_clusters: bool = False, coin: bool = False) -> list[float]:
    return [
        learned - frozen
        for frozen, learned in (
            frozen_and_learned(seed, config, keep_clusters=keep_clusters, coin=coin) for seed in SEEDS
        )
    ]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_whole_engine_learns_much_of_what_the_frozen_ranking_gets_wrong(seed: int) -> None:
    frozen, learned = frozen_and_learned(seed, SonaConfig(dim=32))
    assert learned > frozen + 0.5 * (1.0 - frozen)


def test_the_base_tier_alone_beats_the_frozen_ranking_over_fixed_clusters() -> None:
    config = SonaConfig(dim=32, micro_lora_lr=0.0, base_lora_lr=0.003)
    gained = gains(config, keep_clusters=True)
    assert min(gained) > 0.0
    assert np.mean(gained) > 0.1


def test_the_micro_tier_alone_beats_the_frozen_ranking_over_fixed_clusters() -> None:
    config = SonaConfig(dim=32, base_lora_lr=0.0)
    gained = gains(config, keep_clusters=True)
    assert min(gained) > 0.05
    assert np.mean(gained) > 0.15


def test_the_clusters_alone_beat_the_frozen_ranking() -> None:
    gained = gains(SonaConfig(dim=32, base_lora_lr=0.0, micro_lora_lr=0.0))
    assert min(gained) > 0.1
    assert np.mean(gained) > 0.2


def test_the_clusters_alone_beat_the_frozen_ranking_everywhere_by_much() -> None:
    assert min(gains(SonaConfig(dim=32, base_lora_lr=0.0, micro_lora_lr=0.0))) > 0.15


def test_a_coin_in_place_of_feedback_does_not_make_the_adapter_much_worse_than_frozen() -> None:
    gained = gains(SonaConfig(dim=32, micro_lora_lr=0.0), keep_clusters=True, coin=True)
    assert min(gained) > -0.15
    assert np.mean(gained) > -0.08


def test_a_task_learned_first_is_forgotten_less_under_ewc() -> None:
    forgotten = {}
    for strength in (0.0, 15_000.0):
        losses = []
        for seed in (0, 1):
            first, second = World.make(seed), World.make(seed + 100)
            world = World(first.centres, second.bend, first.spread)
            config = SonaConfig(dim=32, micro_lora_lr=0.0, base_lora_lr=0.003, ewc_lambda=strength, seed=seed)
            engine = seeded(first.centres, config)
            queries, labels = first.draw(np.random.default_rng([seed, 2]), 400)
            bandit(engine, first, seed, keep_clusters=True)
            learned = adapted_success(engine, queries, labels)
            bandit(engine, world, seed + 1, keep_clusters=True)
            losses.append(learned - adapted_success(engine, queries, labels))
        forgotten[strength] = float(np.mean(losses))
    assert forgotten[15_000.0] < forgotten[0.0] / 2

"""That it learns: from bandit feedback (right or wrong about what was tried), where ranking by similarity fails."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sona_support import World, bandit, record, seeded, success

from swarm.sona import SonaConfig
from swarm.sona.background import HELD_OUT_EVERY

SEEDS = range(4)


def frozen_and_learned(
    seed: int, config: SonaConfig, *, keep_clusters: bool = False, coin: bool = False
) -> tuple[float, float]:
    """Success on queries held out, before and after 1,600 of them with feedback."""
    world = World.make(seed)
    engine = seeded(world.centres, replace(config, seed=seed))
    queries, labels = world.draw(np.random.default_rng([seed, 2]), 400)
    before = success(engine, queries, labels)
    bandit(engine, world, seed, keep_clusters=keep_clusters, coin=coin)
    return before, success(engine, queries, labels)


def gains(config: SonaConfig, *, keep_clusters: bool = False, coin: bool = False) -> list[float]:
    return [
        learned - frozen
        for frozen, learned in (
            frozen_and_learned(seed, config, keep_clusters=keep_clusters, coin=coin) for seed in SEEDS
        )
    ]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_whole_engine_rises_from_poor_to_nearly_perfect(seed: int) -> None:
    frozen, learned = frozen_and_learned(seed, SonaConfig(dim=32))
    assert frozen < 0.75
    assert learned > 0.95


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
    assert min(gained) > 0.2


def test_a_coin_in_place_of_feedback_does_not_make_the_adapter_much_worse_than_frozen() -> None:
    gained = gains(SonaConfig(dim=32, micro_lora_lr=0.0), keep_clusters=True, coin=True)
    assert min(gained) > -0.15
    assert np.mean(gained) > -0.08


def test_a_cycle_that_would_lose_on_held_out_outcomes_is_not_promoted() -> None:
    world = World.make(0)
    engine = seeded(world.centres, SonaConfig(dim=32, base_lora_lr=0.01, micro_lora_lr=0.0))
    between = world.centres[0] + world.centres[1]
    for position in range(50):
        # What is held out, every fifth, contradicts all that is trained on.
        record(engine, between, "1" if position % HELD_OUT_EVERY == HELD_OUT_EVERY - 1 else "0", 1.0)
    before = engine.adapter.base
    report = engine.force_learn()
    assert (report.trained_on, report.held_out) == (40, 10)
    assert report.loss_after > report.loss_before
    assert not report.promoted
    assert engine.adapter.base is before
    assert (engine.ewc.tasks, engine.promotions) == (0, 0)
    assert engine.apply_base_lora(0, world.centres).tobytes() == world.centres.tobytes()


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
            learned = success(engine, queries, labels)
            bandit(engine, world, seed + 1, keep_clusters=True)
            losses.append(learned - success(engine, queries, labels))
        forgotten[strength] = float(np.mean(losses))
    assert forgotten[15_000.0] < forgotten[0.0] / 2

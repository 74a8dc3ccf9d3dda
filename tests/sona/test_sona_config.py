from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields, replace

import numpy as np
import pytest
from sona_support import DIM, cluster, near, record, unit_vectors

from swarm.errors import BoundsError, CapacityError, InputError, ShapeError
from swarm.sona import PRESETS, SonaConfig, SonaEngine
from swarm.sona.config import _BOUNDS, BASE_LR_SCALE, MICRO_LR_SCALE
from swarm.sona.grouping import regroup

BASE = SonaConfig(dim=DIM, base_lora_lr=0.01)


def experienced(config: SonaConfig, n: int = 120, cycles: int = 2) -> SonaEngine:
    """An engine after the same stream of outcomes, whatever its configuration."""
    engine = SonaEngine(config)
    rng = np.random.default_rng(0)
    centres = unit_vectors(rng, 4, config.dim)
    for k, centre in enumerate(centres):
        record(engine, centre, str(k), 1.0)
    engine.force_learn()
    for _ in range(cycles):
        for _ in range(n):
            k = int(rng.integers(4))
            record(engine, near(rng, centres[k], 0.8), str(rng.integers(4)), float(rng.random()))
        engine.force_learn()
    return engine


def refusal(call: Callable[[], object]) -> str:
    """The class of what `call` raises, or "" if it raises nothing."""
    try:
        call()
    except (ShapeError, BoundsError, CapacityError) as error:
        return type(error).__name__
    return ""


def micro(config: SonaConfig) -> bytes:
    return experienced(config).adapter.micro.up.tobytes()


def base(config: SonaConfig) -> bytes:
    return b"".join(pair.up.tobytes() for pair in experienced(config).adapter.base)


def after_tasks(config: SonaConfig) -> SonaEngine:
    """An engine after three tasks with different queries, of which two have ended and are remembered."""
    engine = SonaEngine(replace(config, micro_lora_lr=0.0))
    for task in range(3):
        rng = np.random.default_rng(task)
        centres = unit_vectors(rng, 4, config.dim)
        for _ in range(4):
            for _ in range(60):
                k, tried = (int(value) for value in rng.integers(4, size=2))
                record(engine, near(rng, centres[k], 0.8), str(tried), float(tried == k))
            engine.force_learn()
    assert engine.ewc.tasks == 2
    return engine


def importance(config: SonaConfig) -> bytes:
    return b"".join(array.tobytes() for array in after_tasks(config).ewc.importance)


def consolidated(config: SonaConfig) -> bytes:
    return b"".join(pair.up.tobytes() for pair in after_tasks(config).adapter.base)


def ranks(config: SonaConfig) -> tuple[int, int]:
    engine = experienced(config)
    identity = np.eye(DIM, dtype=np.float32)
    return (
        int(np.linalg.matrix_rank(engine.adapter.micro.delta(identity))),
        int(np.linalg.matrix_rank(engine.adapter.base[0].delta(identity))),
    )


def votes(config: SonaConfig) -> list[tuple[str, float]]:
    still = replace(config, micro_lora_lr=0.0, base_lora_lr=0.0)
    engine = experienced(still)
    x = unit_vectors(np.random.default_rng(1), 1)[0]
    return [(hit.action, round(hit.score, 9)) for hit in engine.rank_actions(x, 4)]


def survivors(config: SonaConfig) -> list[str]:
    """Actions that stay when there are more than the bound: with 3 outcomes each, or fresh ones with 1."""
    rows = unit_vectors(np.random.default_rng(2), 20)
    known = [cluster(f"p{i}", row, action=f"proven{i}", n=3) for i, row in enumerate(rows[:10])]
    fresh = [cluster(f"f{i}", row, action=f"fresh{i}", first_s=9.0) for i, row in enumerate(rows[10:])]
    grouping = regroup(known, fresh, replace(config, pattern_clusters=10), np.random.default_rng(0))
    return sorted(c.action for c in grouping.clusters)


def fill(config: SonaConfig) -> str:
    engine = SonaEngine(config)

    def overflow() -> None:
        for _ in range(150):
            record(engine, np.ones(DIM), "a", 1.0)

    return refusal(overflow)


def steps(config: SonaConfig) -> str:
    engine = SonaEngine(config)
    trajectory_id = engine.begin_trajectory(np.ones(DIM))

    def overflow() -> None:
        for _ in range(20):
            engine.add_step(trajectory_id, None, None, 0.5)

    return refusal(overflow)


def due(config: SonaConfig) -> list[bool]:
    """Whether a background cycle runs after 100 s with 60 outcomes of 10,000, and after 2 hours."""
    engine = SonaEngine(replace(config, trajectory_capacity=100))
    engine.tick(0.0)
    for _ in range(60):
        record(engine, np.ones(DIM), "a", 1.0)
    return [engine.tick(now_s) is not None for now_s in (100.0, 7200.0)]


def signs(config: SonaConfig) -> list[bool]:
    engine = SonaEngine(config)
    record(engine, np.ones(DIM), "a", 0.5)
    engine.force_learn()
    return [c.positive for c in engine.bank.clusters()]


OBSERVED: dict[str, tuple[object, Callable[[SonaConfig], object]]] = {
    "dim": (DIM + 1, lambda config: refusal(lambda: SonaEngine(config).apply_lora(np.ones(DIM)))),
    "micro_lora_rank": (1, lambda config: ranks(config)[0]),
    "base_lora_rank": (4, lambda config: ranks(config)[1]),
    "base_lora_layers": (2, lambda config: refusal(lambda: SonaEngine(config).apply_base_lora(1, np.ones(DIM)))),
    "lora_alpha": (1.0, base),
    "lora_dropout": (0.5, base),
    "micro_lora_lr": (0.3, micro),
    "base_lora_lr": (0.003, base),
    "base_epochs": (1, base),
    "base_batch": (16, base),
    "temperature": (0.2, votes),
    "failure_weight": (0.0, votes),
    "ewc_lambda": (0.0, consolidated),
    "ewc_max_tasks": (1, importance),
    "rehearsal_capacity": (50, lambda config: len(experienced(config).reservoir)),
    "ewc_gamma": (0.5, importance),
    "fisher_samples": (3, importance),
    "pattern_clusters": (10, lambda config: len(experienced(config).bank)),
    "min_cluster_size": (2, survivors),
    "join_similarity": (0.6, lambda config: len(experienced(config).bank)),
    "trajectory_capacity": (100, fill),
    "max_trajectory_steps": (5, steps),
    "background_interval": (60.0, due),
    "learn_at_utilisation": (0.5, due),
    "quality_threshold": (0.8, signs),
    "seed": (1, lambda config: SonaEngine(config).adapter.micro.down.tobytes()),
}


def test_every_field_is_observed_by_a_test() -> None:
    assert set(OBSERVED) == {field.name for field in fields(SonaConfig)}


@pytest.mark.parametrize("name", [field.name for field in fields(SonaConfig)])
def test_every_field_changes_what_the_engine_does(name: str) -> None:
    value, observe = OBSERVED[name]
    changed = replace(BASE, **{name: value})  # type: ignore[arg-type]
    assert observe(BASE) == observe(BASE)
    assert observe(changed) != observe(BASE)


def test_scale_of_the_base_tier_is_alpha_by_rank() -> None:
    assert SonaConfig(base_lora_rank=8).base_scale == 1.0
    assert SonaConfig(base_lora_rank=8, lora_alpha=4.0).base_scale == 0.5
    engine = SonaEngine(SonaConfig(dim=DIM, base_lora_rank=4, lora_alpha=8.0, base_lora_layers=3))
    assert [pair.scale for pair in engine.adapter.base] == [2.0, 2.0, 2.0]


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_makes_an_engine_that_records_learns_and_answers(name: str) -> None:
    config = SonaConfig.preset(name, dim=32, seed=5)
    assert (config.dim, config.seed) == (32, 5)
    engine = experienced(config, n=30, cycles=1)
    assert len(engine.bank) > 0
    assert engine.rank_actions(np.ones(32), 1)
    assert np.isfinite(engine.apply_lora(np.ones(32))).all()


def test_presets_have_the_published_values() -> None:
    published = {
        "default": (2, 8, 0.002, 1e-4, 2000, 100, 10_000, 3600, 0.3),
        "max_throughput": (2, 4, 0.0005, 1e-4, 2000, 100, 5_000, 7200, 0.4),
        "max_quality": (2, 16, 0.002, 1e-3, 2000, 100, 20_000, 1800, 0.2),
        "edge_deployment": (1, 4, 0.001, 1e-4, 1000, 50, 200, 3600, 0.5),
        "batch_processing": (2, 8, 0.001, 1e-4, 2000, 100, 10_000, 3600, 0.3),
        "ephemeral": (2, 4, 0.002, 1e-4, 1000, 50, 500, 60, 0.3),
        "coordinator": (2, 16, 0.001, 5e-4, 2000, 200, 50_000, 300, 0.4),
        "realtime": (2, 4, 0.0005, 1e-4, 2000, 25, 500, 3600, 0.7),
        "balanced": (2, 16, 0.002, 1e-4, 2000, 100, 10_000, 3600, 0.4),
        "research": (2, 16, 0.002, 2e-4, 2000, 100, 10_000, 900, 0.2),
        "quality": (2, 16, 0.002, 2e-4, 2000, 200, 10_000, 900, 0.2),
        "largescale": (2, 16, 0.002, 1e-4, 2000, 200, 50_000, 3600, 0.3),
    }
    for name, values in published.items():
        preset = PRESETS[name]
        found = (
            preset.micro_lora_rank, preset.base_lora_rank, preset.micro_lora_lr / MICRO_LR_SCALE,
            preset.base_lora_lr / BASE_LR_SCALE, preset.ewc_lambda, preset.pattern_clusters,
            preset.trajectory_capacity, preset.background_interval, preset.quality_threshold,
        )  # fmt: skip
        assert found == pytest.approx(values), name
    assert PRESETS["default"] == SonaConfig()
    assert set(published) == set(PRESETS)


@pytest.mark.parametrize("name", [None, [], 5, "", "Default", "x" * 1000])
def test_an_unknown_preset_is_refused_with_the_names_there_are(name: str) -> None:
    with pytest.raises(InputError, match=r"^preset must be one of default, .*largescale, got") as caught:
        SonaConfig.preset(name)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("name", [name for name in _BOUNDS if name != "seed"])
def test_each_bound_is_taken_and_what_lies_beyond_is_refused_with_name_bound_and_value(name: str) -> None:
    low, high = _BOUNDS[name]
    whole = isinstance(getattr(SonaConfig(), name), int)
    for value in (low, high):
        assert getattr(SonaConfig(**{name: value}), name) == value  # type: ignore[arg-type]
    step = 1 if whole else 1e-3
    for value in (low - step, high + max(step, high * 1e-3)):
        bad = int(value) if whole else value
        with pytest.raises(BoundsError, match=rf"^{name} must be in .*\.\..*, got"):
            SonaConfig(**{name: bad})  # type: ignore[arg-type]
    odds: list[object] = [math.nan, math.inf, -math.inf, "1", True, [], 10**400, 1j]
    for odd in odds:
        with pytest.raises(BoundsError, match=rf"^{name} must be"):
            SonaConfig(**{name: odd})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", [field.name for field in fields(SonaConfig)])
def test_a_whole_number_is_asked_for_where_a_count_is_meant(name: str) -> None:
    default = getattr(SonaConfig(), name)
    if isinstance(default, int):
        with pytest.raises(InputError, match=f"^{name} must be a whole number, got {float(default)}"):
            SonaConfig(**{name: float(default)})  # type: ignore[arg-type]
    if name != "lora_alpha":
        with pytest.raises(InputError, match=f"^{name} must be"):
            SonaConfig(**{name: None})  # type: ignore[arg-type]


def test_values_survive_a_dictionary_and_strangers_in_it_are_refused_by_name() -> None:
    for config in (*PRESETS.values(), replace(BASE, lora_alpha=3.0)):
        assert SonaConfig.from_dict(config.as_dict()) == config
    assert SonaConfig.from_dict({}) == SonaConfig()
    with pytest.raises(InputError, match=r"^unknown configuration fields: 7, enable_simd, rank$"):
        SonaConfig.from_dict({"rank": 2, "dim": 32, "enable_simd": True, 7: 1})  # type: ignore[dict-item]
    with pytest.raises(BoundsError, match=r"^dim must be in 16\.\.8192, got 3"):
        SonaConfig.from_dict({"dim": 3})
    for odd in (None, [1], "dim", 5):
        with pytest.raises(InputError, match="a configuration must be a mapping"):
            SonaConfig.from_dict(odd)  # type: ignore[arg-type]


def test_a_configuration_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        SonaConfig().dim = 32  # type: ignore[misc]

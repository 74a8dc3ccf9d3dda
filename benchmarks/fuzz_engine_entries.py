"""The ways into the numeric core."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.fuzz_pool import Entry, Pool, entry_of
from benchmarks.fuzz_records import DIM, a_vector
from swarm.sona import LearningSignal, SonaEngine
from swarm.sona.config import SonaConfig


def engine_entries(engine: Callable[[], SonaEngine], pool: Pool) -> Iterator[Entry]:
    """The numeric core, alone."""
    rng, hostile = pool.rng, pool.hostile

    def vector() -> Any:
        return a_vector(rng.randrange(50))

    ids, k = pool.recent(pool.engine_ids), pool.choice(1, 5)

    def begin(embedding: Any) -> None:
        pool.engine_ids.append(engine().begin_trajectory(embedding))

    def signal(**given: Any) -> None:
        engine().learn_from_feedback(LearningSignal(**given))

    def config(**given: Any) -> None:
        SonaConfig(**given)

    for name in ("apply_lora", "apply_micro_lora", "lora_delta", "micro_lora_delta"):
        yield entry_of(f"SonaEngine.{name}", lambda x, name=name: getattr(engine(), name)(x), {"x": vector})
    yield entry_of(
        "SonaEngine.apply_base_lora",
        lambda layer, x: engine().apply_base_lora(layer, x),
        {"layer": pool.choice(0), "x": vector},
    )
    for name in ("find_patterns", "recall", "rank_actions", "predict_variant_scores"):
        yield entry_of(
            f"SonaEngine.{name}",
            lambda name=name, **given: getattr(engine(), name)(**given),
            {"x": vector, "k": k},
            {"k"},
        )
    yield entry_of("SonaEngine.begin_trajectory", begin, {"embedding": vector}, (), 2.0)
    step = {
        "activations": vector,
        "attention": pool.choice(None),
        "reward": pool.choice(0.5),
        "node": pool.choice("n"),
        "latency_ms": pool.choice(1.0),
    }
    yield entry_of(
        "SonaEngine.add_step",
        lambda **given: engine().add_step(**given),
        {"trajectory_id": ids, **step},
        {"node", "latency_ms"},
        2.0,
    )
    one = {
        "trajectory_id": ids,
        "node_id": pool.choice(1, "n"),
        "score": pool.choice(0.5),
        "latency_us": pool.choice(1.0),
    }
    yield entry_of("SonaEngine.record_step", lambda **given: engine().record_step(**given), one)
    named = (("use_pattern", "action"), ("set_route", "route"), ("set_task_type", "task_type"), ("add_context", "text"))
    for name, parameter in named:
        yield entry_of(
            f"SonaEngine.{name}",
            lambda name=name, **given: getattr(engine(), name)(**given),
            {"trajectory_id": ids, parameter: pool.choice("a", "b")},
        )
    ended = {"trajectory_id": ids, "quality": pool.choice(0.0, 1.0), "now_s": pool.choice(1.0)}
    yield entry_of("SonaEngine.end_trajectory", lambda **given: engine().end_trajectory(**given), ended, {"now_s"}, 2.0)
    yield entry_of(
        "SonaEngine.submit_trajectory",
        lambda trajectory: engine().submit_trajectory(trajectory),
        {"trajectory": pool.trajectory},
    )
    told = {
        "reward": pool.choice(1.0),
        "latency_ms": pool.choice(0.0),
        "importance": pool.choice(1.0),
        "gradient": lambda: rng.choice((None, a_vector(0))),
        "trajectory_id": pool.choice(None),
    }
    yield entry_of("LearningSignal", signal, told, set(told) - {"reward"})
    yield entry_of("SonaEngine.tick", lambda now_s: engine().tick(now_s), {"now_s": pool.choice(1.0)}, (), 0.3)
    yield entry_of(
        "SonaEngine.force_learn", lambda now_s: engine().force_learn(now_s), {"now_s": pool.choice(1.0)}, (), 0.05
    )
    fields = {name: (lambda name=name: getattr(SonaConfig(dim=DIM), name)) for name in SonaConfig.__dataclass_fields__}
    yield entry_of("SonaConfig", config, fields, set(fields))
    yield entry_of(
        "SonaConfig.from_dict",
        SonaConfig.from_dict,
        {"values": lambda: {**SonaConfig(dim=DIM).as_dict(), rng.choice(tuple(fields)): hostile.any()}},
    )
    yield entry_of("SonaConfig.preset", SonaConfig.preset, {"name": pool.choice("ephemeral")})

"""Configuration of an engine, its bounds, and the presets.

The learning rates of the published presets belong to a rule that does not learn. The sound rule of `lora`
needs larger steps: on bandit feedback over text embeddings the best of a sweep was 15 times (micro tier)
and 10 times (base tier) the published value, so a preset states the published number and `_preset` scales it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from types import MappingProxyType

from swarm.errors import InputError, shown
from swarm.sona.vectors import check_number

MICRO_LR_SCALE = 15.0
BASE_LR_SCALE = 10.0

_BOUNDS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "dim": (16, 8192),
        "micro_lora_rank": (1, 2),
        "base_lora_rank": (4, 32),
        "base_lora_layers": (1, 8),
        "lora_alpha": (0.0, 1024.0),
        "lora_dropout": (0.0, 0.9),
        "micro_lora_lr": (0.0, 1.0),
        "base_lora_lr": (0.0, 1.0),
        "base_epochs": (1, 100),
        "temperature": (0.005, 1.0),
        "failure_weight": (0.0, 10.0),
        "ewc_lambda": (0.0, 15_000.0),
        "ewc_gamma": (0.0, 1.0),
        "ewc_max_tasks": (1, 1000),
        "rehearsal_capacity": (0, 10_000),
        "fisher_samples": (1, 100_000),
        "pattern_clusters": (10, 1000),
        "min_cluster_size": (1, 1000),
        "join_similarity": (0.5, 1.0),
        "trajectory_capacity": (100, 50_000),
        "max_trajectory_steps": (1, 10_000),
        "background_interval": (0.0, 30 * 86_400.0),
        "learn_at_utilisation": (0.01, 1.0),
        "quality_threshold": (0.0, 1.0),
        "seed": (0, 2**63 - 1),
    }
)
_INTEGERS = frozenset(
    {
        "dim",
        "micro_lora_rank",
        "base_lora_rank",
        "base_lora_layers",
        "base_epochs",
        "fisher_samples",
        "ewc_max_tasks",
        "rehearsal_capacity",
        "pattern_clusters",
        "min_cluster_size",
        "trajectory_capacity",
        "max_trajectory_steps",
        "seed",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SonaConfig:
    """Everything that an engine can be told. Times are seconds; every field is read by code.

    >>> SonaConfig(dim=384).base_scale
    1.0
    >>> SonaConfig(micro_lora_rank=8)
    Traceback (most recent call last):
    swarm.errors.BoundsError: micro_lora_rank must be in 1..2, got 8
    """

    dim: int = 256
    """Dimension of the embedding, which is the hidden dimension too."""
    micro_lora_rank: int = 2
    base_lora_rank: int = 8
    base_lora_layers: int = 1
    lora_alpha: float | None = None
    """Scale of the base tier is alpha / rank; None means alpha = rank."""
    lora_dropout: float = 0.0
    """Share of the base tier's rank-space that a training step leaves out."""
    micro_lora_lr: float = 0.03
    base_lora_lr: float = 0.001
    base_epochs: int = 3
    """Passes of a background cycle over its trajectories."""
    temperature: float = 0.05
    """tau of `ranking`: the width of the kernel, and the softness of the choice between prototypes."""
    failure_weight: float = 1.0
    """phi of `ranking`: how much a failure near the query counts against an action, beside a success for it."""
    ewc_lambda: float = 2000.0
    ewc_gamma: float = 0.95
    fisher_samples: int = 200
    ewc_max_tasks: int = 10
    """The memory of more tasks than these weighs no more than so many: old ones fade instead."""
    rehearsal_capacity: int = 1_000
    """Outcomes of its own that an agent keeps: nineteen in twenty to rehearse, one to judge new weights."""
    pattern_clusters: int = 100
    """Clusters of successes an agent keeps at most, and as many of failures."""
    min_cluster_size: int = 5
    """When clusters of different actions must go, those with fewer outcomes go first."""
    join_similarity: float = 0.9
    """Cosine from which a query joins a cluster of the same action instead of founding one."""
    trajectory_capacity: int = 10_000
    max_trajectory_steps: int = 50
    background_interval: float = 3600.0
    learn_at_utilisation: float = 0.8
    quality_threshold: float = 0.3
    """An outcome of at least this quality founds what to repeat, one below it what to avoid."""
    seed: int = 0

    def __post_init__(self) -> None:
        for name, (low, high) in _BOUNDS.items():
            value = getattr(self, name)
            if name == "lora_alpha" and value is None:
                continue
            check_number(value, name, low, high)
            if name in _INTEGERS and not isinstance(value, int):
                raise InputError(f"{name} must be a whole number, got {shown(value, 40)}")

    @property
    def base_scale(self) -> float:
        """Scale s_b of the base tier (Hu et al. 2021, section 4.1: alpha / r)."""
        return 1.0 if self.lora_alpha is None else self.lora_alpha / self.base_lora_rank

    @classmethod
    def preset(cls, name: str, *, dim: int = 256, seed: int = 0) -> SonaConfig:
        """The configuration called `name` (see `PRESETS`) for embeddings of `dim` numbers."""
        if not isinstance(name, str) or name not in PRESETS:
            raise InputError(f"preset must be one of {', '.join(PRESETS)}, got {shown(name, 60)}")
        return replace(PRESETS[name], dim=dim, seed=seed)

    @property
    def hidden_dim(self) -> int:
        """The published name of `dim`; `embedding_dim` is the same number."""
        return self.dim

    @property
    def embedding_dim(self) -> int:
        return self.dim

    def updated(self, **changes: object) -> SonaConfig:
        """A copy with other values, checked: what a builder is for.

        >>> SonaConfig.preset("edge_deployment").updated(dim=384, base_lora_rank=8).base_lora_rank
        8
        """
        return SonaConfig.from_dict({**self.as_dict(), **changes})

    def as_dict(self) -> dict[str, int | float | None]:
        """Plain values, for records and JSON; `from_dict` is the inverse."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> SonaConfig:
        """A configuration from plain values.

        Raises
        ------
        InputError
            If a name is unknown or a value is out of bounds.
        """
        if not isinstance(values, Mapping):
            raise InputError(f"a configuration must be a mapping, got {type(values).__name__}")
        known = {field.name for field in fields(cls)}
        unknown = sorted(f"{name!s:.60}" for name in set(values) - known)
        if unknown:
            raise InputError(f"unknown configuration fields: {', '.join(unknown)}")
        return cls(**values)  # type: ignore[arg-type]  # __post_init__ checks every value


def _preset(
    micro_rank: int,
    base_rank: int,
    micro_lr: float,
    base_lr: float,
    ewc_lambda: float,
    clusters: int,
    capacity: int,
    interval: float,
    threshold: float,
) -> SonaConfig:
    return SonaConfig(
        micro_lora_rank=micro_rank,
        base_lora_rank=base_rank,
        micro_lora_lr=micro_lr * MICRO_LR_SCALE,
        base_lora_lr=base_lr * BASE_LR_SCALE,
        ewc_lambda=ewc_lambda,
        pattern_clusters=clusters,
        trajectory_capacity=capacity,
        background_interval=interval,
        quality_threshold=threshold,
    )


_MINUTE, _HOUR = 60.0, 3600.0

PRESETS: Mapping[str, SonaConfig] = MappingProxyType(
    {
        "default": _preset(2, 8, 0.002, 1e-4, 2000, 100, 10_000, _HOUR, 0.3),
        "max_throughput": _preset(2, 4, 0.0005, 1e-4, 2000, 100, 5_000, 2 * _HOUR, 0.4),
        "max_quality": _preset(2, 16, 0.002, 1e-3, 2000, 100, 20_000, 30 * _MINUTE, 0.2),
        "edge_deployment": _preset(1, 4, 0.001, 1e-4, 1000, 50, 200, _HOUR, 0.5),
        "batch_processing": _preset(2, 8, 0.001, 1e-4, 2000, 100, 10_000, _HOUR, 0.3),
        "ephemeral": _preset(2, 4, 0.002, 1e-4, 1000, 50, 500, _MINUTE, 0.3),
        "coordinator": _preset(2, 16, 0.001, 5e-4, 2000, 200, 50_000, 5 * _MINUTE, 0.4),
        "realtime": _preset(2, 4, 0.0005, 1e-4, 2000, 25, 500, _HOUR, 0.7),
        "balanced": _preset(2, 16, 0.002, 1e-4, 2000, 100, 10_000, _HOUR, 0.4),
        "research": _preset(2, 16, 0.002, 2e-4, 2000, 100, 10_000, 15 * _MINUTE, 0.2),
        "quality": _preset(2, 16, 0.002, 2e-4, 2000, 200, 10_000, 15 * _MINUTE, 0.2),
        "largescale": _preset(2, 16, 0.002, 1e-4, 2000, 200, 50_000, _HOUR, 0.3),
    }
)
"""The published presets, two of whose promises mean something else here.

* `realtime`, `balanced`, `research`, `quality` and `largescale` are published for 3,072 dimensions, each with a number
  M of neighbours in an HNSW graph. The dimension is the embedder's. M has no meaning: there is no graph, the search is
  exact up to 50,000 patterns and above it goes through the nearest lists of an inverted file.
* `largescale` promises unlimited trajectories; its bound is the largest there is.

`edge_deployment` keeps its promise of less than 5 MB, measured by `benchmarks.bench_edge`.
"""

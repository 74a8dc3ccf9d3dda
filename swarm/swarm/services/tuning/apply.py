"""Applying settings that a search found: a version of the agent as any other, which can be rolled back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from swarm.errors import InputError, StaleWriterError
from swarm.services.lineage import TUNED
from swarm.services.rollback import CONFIG_BEFORE
from swarm.services.tuning.report import TuningReport
from swarm.services.turn import registered, turn_at
from swarm.sona.config import SonaConfig
from swarm.sona.ewc import EwcMemory
from swarm.sona.fusion import fuse_adapters
from swarm.store.agents import AgentStore
from swarm.store.commit import Commit, Committer
from swarm.wire.codec import encode
from swarm.wire.records import Weights, check_weights_fit, encode_weights

_MAX_CAUSE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What came of it: `generation` is the new version, `changes` what is set otherwise now: name -> (before, after).

    `lost` is the share of the base tier that a lower rank could not hold, see `Fusion`.
    """

    agent: str
    generation: int
    changes: Mapping[str, tuple[object, object]]
    lost: float

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def apply_tuning(report: TuningReport, agents: AgentStore, committer: Committer, lease_ttl: float) -> Applied:
    """Register the best settings of a search, with a version that leads back to those before.

    What the base tier does is carried over to another rank; what EWC remembers of its single weights cannot be. Workers
    use the new settings from the next cycle on, processes of the agent when they start again.

    Raises
    ------
    InputError
        If the gate of the search refused them.
    StaleWriterError
        If the agent's settings have changed since the search, or another worker has it; nothing was written.
    """
    if not report.may_be_applied:
        raise InputError(f"agent {report.agent} keeps its settings: {report.why}")
    before, after = report.present.config, report.best.config
    check_weights_fit(after)
    with turn_at(report.agent, agents, lease_ttl) as lease:
        registration = registered(report.agent, agents)
        if registration.config != before:
            raise StaleWriterError(f"agent {report.agent}: its settings have changed since the search; tune again")
        state = agents.state(report.agent)
        weights = agents.weights(report.agent)
        values, lost = _carried_over(weights, before, after)
        cause = ", ".join(f"{name}={_short(new)}" for name, (_, new) in report.changes.items())
        number = committer.write(
            report.agent,
            lease,
            state.generation,
            Commit(
                cursor=state.cursor,
                values=values,
                figures=encode("figures", _figures(report, lost, len(agents.clusters(report.agent)))),
                keep=after.trajectory_capacity,
                # It is no consolidation: the next one makes the draws that it would have made.
                newly_skipped=1,
                origin={
                    "kind": TUNED,
                    "parent": str(state.generation),
                    "cause": cause[:_MAX_CAUSE],
                    CONFIG_BEFORE: json.dumps(before.as_dict()),
                },
            ),
        )
        # Behind the version that leads back: killed in between, the agent has its former settings.
        agents.register(report.agent, replace(registration, config=after))
    return Applied(agent=report.agent, generation=number, changes=report.changes, lost=lost)


def _carried_over(weights: Weights | None, before: SonaConfig, after: SonaConfig) -> tuple[dict[str, bytes], float]:
    """The base tier at the new rank, as a record, and what of it that lost; nothing where the shape stays."""
    shape = ("base_lora_rank", "base_lora_layers", "base_scale")
    if weights is None or all(getattr(before, name) == getattr(after, name) for name in shape):
        return {}, 0.0
    fusion = fuse_adapters(
        [(1.0, weights.base)],
        after.base_lora_rank,
        np.random.default_rng(after.seed),
        layers=after.base_lora_layers,
        scale=after.base_scale,
    )
    return {"weights": encode_weights(Weights(base=fusion.pairs, ewc=EwcMemory.empty()))}, fusion.lost


def _figures(report: TuningReport, lost: float, clusters: int) -> dict[str, float | int | str]:
    return {
        "why": report.why,
        "trials": len(report.trials),
        "difference": report.best.difference,
        "error": report.best.error,
        "lost": lost,
        "clusters": clusters,
    }


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)

"""The history of an agent: its versions, what each came from, and how it did on held-out outcomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from swarm.services.turn import registered
from swarm.store.agents import AgentStore
from swarm.store.versions import LogEntry, VersionStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of an agent.

    `kind` is "learned", or what else made it (such as "rollback", "rewind", "import", "tuned"), then `parent` is the
    version its content builds on and `cause` what was taken back, or set otherwise. `update` says what became of new
    weights ("promoted", "refused", or "" when none were tried), `why` says more where the commit did. Losses are of
    held-out outcomes, in nats, None without any. `figures` holds everything that the commit recorded.
    """

    version: int
    at_s: float
    kind: str
    parent: int
    cause: str
    update: str
    why: str
    outcomes: int
    loss_before: float | None
    loss_after: float | None
    clusters: int
    pruned: int
    is_current: bool
    can_roll_back: bool
    figures: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def read_history(agent: str, agents: AgentStore, versions: VersionStore) -> list[Version]:
    """The versions of an agent that its log still holds, newest first.

    Raises
    ------
    UnknownIdError
        If no such agent is registered.
    """
    registered(agent, agents)
    reachable = frozenset(versions.reachable(agent))
    log = versions.log(agent)
    current = log[-1].generation if log else 0
    return [
        _version(entry, is_current=entry.generation == current, can_roll_back=entry.generation in reachable)
        for entry in reversed(log)
    ]


def _version(entry: LogEntry, *, is_current: bool, can_roll_back: bool) -> Version:
    figures = entry.figures
    is_trained = figures.get("trained_on", 0) > 0
    return Version(
        version=entry.generation,
        at_s=entry.at_ms / 1000.0,
        kind=entry.kind or "learned",
        parent=entry.parent,
        cause=entry.cause,
        update=update_of(figures),
        why=str(figures.get("why", "")),
        outcomes=figures.get("outcomes", 0),
        loss_before=figures.get("loss_before") if is_trained else None,
        loss_after=figures.get("loss_after") if is_trained else None,
        clusters=figures.get("clusters", 0),
        pruned=figures.get("pruned", 0),
        is_current=is_current,
        can_roll_back=can_roll_back,
        figures=figures,
    )


def update_of(figures: Mapping[str, Any]) -> str:
    """What became of new weights, from the figures of a cycle: promoted, refused, or "" if none were tried."""
    if figures.get("promoted"):
        return "promoted"
    is_refused = figures.get("trained_on", 0) > 0 or str(figures.get("why", "")).startswith("refused")
    return "refused" if is_refused else ""

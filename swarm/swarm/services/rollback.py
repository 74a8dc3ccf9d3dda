"""Rollback: an agent holds again what it held at an earlier version, with the settings that it had then."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from swarm.errors import BoundsError
from swarm.services.turn import registered, turn_at
from swarm.sona.config import SonaConfig
from swarm.sona.vectors import check_count
from swarm.store.agents import AgentStore
from swarm.store.commit import DROP, Commit, Committer
from swarm.store.versions import LogEntry, VersionStore
from swarm.wire.codec import encode

ROLLBACK = "rollback"
"""The kind of such a generation in the log."""
CONFIG_BEFORE = "config_before"
"""Field of a log entry: the settings, as JSON, that the agent had before that generation changed them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollback:
    """What came of it: `generation` is the new version, which holds what `version` held."""

    agent: str
    version: int
    generation: int
    clusters: int
    changed: int

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def roll_back(
    agent: str, version: int, agents: AgentStore, versions: VersionStore, committer: Committer, lease_ttl: float
) -> Rollback:
    """Commit the content of `version` as a new generation; it can be rolled back in turn.

    The cursor stays: outcomes that later versions learned are not learned again. Processes of the agent drop what
    they learned by themselves when they next look, so that they rank as at that version.

    Raises
    ------
    UnknownIdError
        If no such agent is registered.
    BoundsError
        If that version is the current one or cannot be reached; the message names those that can.
    StaleWriterError
        If another worker has the agent, or took over; nothing was written.
    """
    check_count(version, "version", 0, 2**53)
    with turn_at(agent, agents, lease_ttl) as lease:
        registration = registered(agent, agents)
        config = _config_at(version, versions.log(agent)) or registration.config
        state = agents.state(agent)
        if version == state.generation:
            raise BoundsError(f"version {version} is what agent {agent} holds now")
        wanted, current = versions.at(agent, version), versions.at(agent, state.generation)
        put = {name: record for name, record in wanted.clusters.items() if current.clusters.get(name) != record}
        removed = sorted(current.clusters.keys() - wanted.clusters.keys())
        number = committer.write(
            agent,
            lease,
            state.generation,
            Commit(
                cursor=state.cursor,
                removed=removed,
                put=put,
                values=values_of(wanted.values),
                figures=encode("figures", {"clusters": len(wanted.clusters)}),
                keep=config.trajectory_capacity,
                newly_skipped=state.generation + 1 - wanted.age - state.skipped,
                is_reset=True,
                origin={"kind": ROLLBACK, "parent": str(version)} | _left(registration.config, config),
            ),
        )
        if config != registration.config:
            agents.register(agent, replace(registration, config=config))
    return Rollback(
        agent=agent, version=version, generation=number, clusters=len(wanted.clusters), changed=len(put) + len(removed)
    )


def _config_at(version: int, log: Sequence[LogEntry]) -> SonaConfig | None:
    """The settings at a version, where a later one changed them."""
    changed = next((entry for entry in log if entry.generation > version and entry.config_before), None)
    return None if changed is None else SonaConfig.from_dict(json.loads(changed.config_before))


def _left(before: SonaConfig, after: SonaConfig) -> dict[str, str]:
    return {} if before == after else {CONFIG_BEFORE: json.dumps(before.as_dict())}


def values_of(stored: Mapping[str, bytes | None]) -> dict[str, bytes]:
    """Whole records as a commit takes them: one that was not there is dropped."""
    return {name: DROP if record is None else record for name, record in stored.items()}

"""Outcomes on their way into the streams of their agents: checked, without what is taken out of them, encoded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from swarm.errors import InputError, ShapeError, shown
from swarm.services.redacted import redacted, redaction_of
from swarm.sona.trajectory import Trajectory
from swarm.sona.vectors import Vector
from swarm.store.agents import Membership
from swarm.store.outcomes import Origin, Outcome
from swarm.telemetry.spans import carried
from swarm.wire.records import encode_trajectory

MAX_KEY_CHARACTERS = 200


def check_idempotency_key(key: object, parameter: str = "idempotency_key") -> str:
    """`key` if it can stand in a Redis key."""
    if not isinstance(key, str) or not 1 <= len(key) <= MAX_KEY_CHARACTERS or not key.isprintable():
        raise InputError(f"{parameter} must be 1-{MAX_KEY_CHARACTERS} printable characters, got {shown(key, 60)}")
    return key


def traced(trajectory: Trajectory) -> Trajectory:
    """With the place where it was recorded in its context: there its consolidation goes on."""
    found = carried()
    return replace(trajectory, context={**trajectory.context, **found}) if found else trajectory


def checked_records(trajectories: Sequence[Trajectory], keys: Sequence[str], dim: int) -> list[bytes]:
    """The trajectories as records, if they and their keys can be recorded.

    Raises
    ------
    InputError
        If a value is out of its bounds, a key cannot be one, or an embedding is not of shape (dim,).
    """
    records = []
    for trajectory, key in zip(trajectories, keys, strict=True):
        records.append(encode_trajectory(trajectory))
        check_idempotency_key(key)
        if len(trajectory.embedding) != dim:
            raise ShapeError(f"embedding must have shape ({dim},), got ({len(trajectory.embedding)},)")
    return records


def outcomes_by_agent(
    trajectories: Sequence[Trajectory],
    keys: Sequence[str],
    records: Sequence[bytes],
    known: Mapping[str, Membership],
    embed: Callable[[str], Vector],
) -> dict[str, list[Outcome]]:
    """What is appended to the stream of each agent that is `known`, in order: as its policy leaves it."""
    redactions = {agent: redaction_of(membership.policy) for agent, membership in known.items()}
    found: dict[str, list[Outcome]] = {agent: [] for agent in known}
    for given, key, record in zip(trajectories, keys, records, strict=True):
        agent = given.agent
        trajectory = redacted(given, redactions[agent], embed)
        if trajectory is not given:
            record = encode_trajectory(trajectory)
        origin = Origin(life=known[agent].life, action=trajectory.action, at_s=trajectory.at_s)
        found[agent].append(Outcome(record=record, idempotency_key=key, trajectory_id=trajectory.id, origin=origin))
    return found

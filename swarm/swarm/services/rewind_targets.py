"""Which outcomes a rewind means: all of one trajectory, or all of one agent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from swarm.errors import RecordError, UnknownIdError, shown
from swarm.store.agents import AgentStore
from swarm.store.forgotten import up_to
from swarm.store.outcomes import OutcomeStore
from swarm.store.reply import stream_position
from swarm.wire.records import decode_trajectory

_LAST_SEQUENCE = 2**64 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is to be taken out of one agent: fields of its `forgotten`.

    `is_whole` if everything that the agent has reported is meant. Else, if a field stands for many outcomes, the one
    that is meant is not in the stream any more, and with it go all that are not.
    """

    agent: str
    fields: tuple[str, ...]
    is_whole: bool = False


def whole_agent(agent: str, agents: AgentStore, outcomes: OutcomeStore) -> Target:
    """Everything that an agent has reported up to now."""
    cursor, ends = agents.state(agent).cursor, outcomes.ends()
    last = max((cursor, cursor if ends is None else ends[1]), key=stream_position)
    return Target(agent=agent, fields=(up_to(last),), is_whole=True)


def one_trajectory(
    trajectory: str, names: Sequence[str], agents: AgentStore, outcomes: Callable[[str], OutcomeStore]
) -> list[Target]:
    """The outcomes of one trajectory, of whichever of these agents.

    Raises
    ------
    UnknownIdError
        If none is known.
    """
    found = []
    for name in names:
        store = outcomes(name)
        if places := _places(store, trajectory):
            found.append(Target(agent=name, fields=tuple(places)))
        elif _is_remembered(name, agents, trajectory):
            found.append(Target(agent=name, fields=(up_to(_before(store, agents, name)),)))
    if not found:
        where = f"agent {names[0]}" if len(names) == 1 else f"any of {len(names)} agents"
        raise UnknownIdError(
            f"trajectory {shown(trajectory)}: no outcome of it is known of {where} (streams keep the last "
            "trajectory_capacity outcomes)"
        )
    return found


def _places(outcomes: OutcomeStore, trajectory: str) -> list[str]:
    """Ids of the entries of a trajectory in its agent's stream."""
    needle = trajectory.encode("utf-8", "surrogatepass")
    # Most records need no decoding: they do not have these bytes in them.
    return [place for place, record in outcomes.pages("0-0", "+") if needle in record and _is_of(record, trajectory)]


def _is_of(record: bytes, trajectory: str) -> bool:
    try:
        return decode_trajectory(record).id == trajectory
    except RecordError:
        return False


def _is_remembered(agent: str, agents: AgentStore, trajectory: str) -> bool:
    return any(
        exemplar.trajectory_id == trajectory for cluster in agents.clusters(agent) for exemplar in cluster.exemplars
    )


def _before(outcomes: OutcomeStore, agents: AgentStore, agent: str) -> str:
    """The last id before all that the stream holds, or the cursor if it holds nothing."""
    ends = outcomes.ends()
    return agents.state(agent).cursor if ends is None else f"{stream_position(ends[0])[0] - 1}-{_LAST_SEQUENCE}"

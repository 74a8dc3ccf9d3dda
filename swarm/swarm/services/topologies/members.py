"""Who takes part in a job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from swarm.errors import InputError
from swarm.services.swarm import Swarm
from swarm.sona.vectors import check_count
from swarm.wire.keys import check_name

MAX_MEMBERS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """An agent that takes part, and the role whose pools play it."""

    agent: str
    role: str

    def __post_init__(self) -> None:
        check_name(self.agent, "agent")
        check_name(self.role, "role")


def members(role: str, *agents: str) -> tuple[Member, ...]:
    """Agents of one role.

    >>> [member.agent for member in members("coder", "ada", "bob")]
    ['ada', 'bob']
    """
    return tuple(Member(agent=agent, role=role) for agent in agents)


def check_members(who: Sequence[Member]) -> dict[str, Member]:
    """The members by agent; each takes part once."""
    check_count(len(who), "number of members", 1, MAX_MEMBERS)
    by_agent = {member.agent: member for member in who}
    if len(by_agent) < len(who):
        raise InputError(f"members must be different agents, got {', '.join(member.agent for member in who)}")
    return by_agent


def register_members(swarm: Swarm, who: Sequence[Member]) -> None:
    """Make members known that are not; learned placement and consensus need that."""
    for member in who:
        known = swarm.agents.registration(member.agent)
        if known is None:
            swarm.register(member.agent, member.role)
        elif known.role != member.role:
            raise InputError(
                f"role of member {member.agent} must be {known.role!r}, as registered, got {member.role!r}"
            )

"""Which agents are meant, by their names and roles."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from swarm.errors import UnknownIdError, shown
from swarm.sona.vectors import check_names


def select_agents(
    known: Mapping[str, str], agents: Collection[str] | None, roles: Collection[str] | None
) -> Sequence[str] | None:
    """Names of the agents that are meant; None means all.

    Raises
    ------
    UnknownIdError
        If an agent or a role is not registered.
    """
    if agents is None and roles is None:
        return None
    agents = None if agents is None else check_names(agents, "agents")
    roles = None if roles is None else check_names(roles, "roles")
    for name in agents or ():
        if name not in known:
            raise UnknownIdError(f"agent {shown(name)} is not registered: see swarm agents list")
    if roles is None:
        return list(dict.fromkeys(agents or ()))
    there = set(known.values())
    for role in roles:
        if role not in there:
            raise UnknownIdError(f"no agent has the role {shown(role)}: see swarm agents list")
    named = known if agents is None else dict.fromkeys(agents)
    return [name for name in named if known[name] in roles]

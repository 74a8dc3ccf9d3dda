"""Quarantine by an operator: what an agent has learned, and goes on to learn, is kept and does not count.

The verdict of `sona.standing` comes from an agent's reports and may come too late, or be mistaken. An operator's
goes before it, until it is taken back.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from swarm.services.turn import registered, turn_at
from swarm.sona.vectors import check_text
from swarm.store.agents import AgentStore
from swarm.store.commit import Commit, Committer
from swarm.store.versions import VersionStore
from swarm.wire.codec import encode

QUARANTINE = "quarantine"
RELEASE = "release"
"""The kinds of such generations in the log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantine:
    """What came of it: `verdict` is what holds now; `generation` is that of the agent by which the bank hears of it."""

    agent: str
    silenced: bool
    verdict: str
    generation: int

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def set_quarantine(
    agent: str,
    is_silenced: bool,
    by: str,
    agents: AgentStore,
    versions: VersionStore,
    committer: Committer,
    lease_ttl: float,
) -> Quarantine:
    """Put an agent in quarantine or release it; the next merge publishes the bank without its part, or with it.

    A generation of the same content is committed, so that a merge is due and the history says who did it and when.

    Raises
    ------
    UnknownIdError
        If no such agent is registered.
    StaleWriterError
        If another worker has the agent, or took over; done again it is complete.
    """
    keep = registered(agent, agents).config.trajectory_capacity
    cause = check_text(by, "by")
    with turn_at(agent, agents, lease_ttl) as lease:
        # First, so that whoever is killed before the commit has at least stopped the next merge from counting it.
        agents.silence(agent, is_silenced)
        state = agents.state(agent)
        number = state.generation
        if number:
            log = versions.log(agent)
            clusters = int(log[-1].figures.get("clusters", 0)) if log else 0
            number = committer.write(
                agent,
                lease,
                state.generation,
                Commit(
                    cursor=state.cursor,
                    figures=encode("figures", {"clusters": clusters}),
                    keep=keep,
                    newly_skipped=1,
                    origin={
                        "kind": QUARANTINE if is_silenced else RELEASE,
                        "parent": str(state.generation),
                        "cause": cause,
                    },
                ),
            )
    return Quarantine(agent=agent, silenced=is_silenced, verdict=state.verdict.value, generation=number)

"""Which agents a sweep looks at: all of a small swarm; of a large one those that are at work, the others in turns."""

from __future__ import annotations

from swarm.store.agents import AgentLook, AgentStore

AT_ONCE = 2_000
"""So many agents are looked at in any case: of 10,000 each one every fifth time."""
_STAYS = 20
"""An agent is at work until nothing has changed for so many looks."""


class Watch:
    """Looks at the agents of one swarm, again and again; a look costs what is at work, not what is registered."""

    def __init__(self, agents: AgentStore, at_once: int = AT_ONCE) -> None:
        self._agents = agents
        self._at_once = at_once
        self._names: list[str] = []
        self._next = 0
        self._seen: dict[str, tuple[int, int]] = {}
        self._at_work: dict[str, int] = {}
        """By agent for how many looks more."""

    def look(self) -> dict[str, AgentLook]:
        """What is stored of those whose turn it is."""
        if self._next >= len(self._names):
            self._names, self._next = self._agents.names(), 0
            known = set(self._names)
            self._at_work = {name: left for name, left in self._at_work.items() if name in known}
            self._seen = {name: seen for name, seen in self._seen.items() if name in known}
        turn = self._names[self._next : self._next + self._at_once]
        self._next += len(turn)
        looks = self._agents.looks(sorted({*self._at_work, *turn}))
        for name, look in looks.items():
            self._note(name, look)
        return looks

    def _note(self, name: str, look: AgentLook) -> None:
        stands = (look.state.accepted, look.state.generation)
        if look.state.pending > 0 or self._seen.get(name, stands) != stands:
            self._at_work[name] = _STAYS
        elif name in self._at_work:
            self._at_work[name] -= 1
            if self._at_work[name] <= 0:
                del self._at_work[name]
        self._seen[name] = stands

"""`AgentFactory`: agents from templates.

factory = AgentFactory()
agent = factory.create("medical-1", "expert", domain="medical")
factory.train("medical-1", [{"task": "dose for a child of 20 kg", "output": "15 mg/kg", "reward": 1.0}])
factory.find_patterns("medical-1", "dose for a child")
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self, Unpack

from swarm.embed.text import check_text
from swarm.errors import InputError
from swarm.services.forget_report import Forgetting
from swarm.services.hits import PatternHit, pattern_hit
from swarm.services.swarm import Swarm
from swarm.services.turn import registered
from swarm.sona.config import SonaConfig
from swarm.sona.vectors import Vector, check_count, check_vector
from swarm.wire.agent_policy import AgentPolicy
from swarm.wire.keys import check_name
from swarm.wire.records import Registration
from swarm_agents.agent import Agent
from swarm_agents.templates import Template, load_template
from swarm_agents.training import TrainOptions, TrainReport, train_examples


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeAgent:
    """An agent as it is registered. `template` is "" for one that was made from none."""

    name: str
    role: str
    template: str
    policy: AgentPolicy
    config: SonaConfig

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "name": self.name,
            "role": self.role,
            "template": self.template,
            "policy": self.policy.as_dict(),
            "config": self.config.as_dict(),
        }


class AgentFactory:
    """Makes agents from templates, and keeps those of this process.

    Parameters
    ----------
    swarm : where they live; by default the one of the environment
    """

    def __init__(self, swarm: Swarm | None = None) -> None:
        self.swarm = swarm or Swarm()
        self._agents: dict[str, Agent] = {}

    def create(
        self,
        name: str,
        template: str | Path | Template,
        *,
        domain: str | None = None,
        role: str | None = None,
        changes: Mapping[str, Any] | None = None,
        replaces: bool = False,
    ) -> Agent:
        """Make an agent from a template; done twice it is the same agent.

        Parameters
        ----------
        template, domain : see `load_template`
        role : instead of the template's
        changes : values instead of the template's, see `Template.changed`
        replaces : whether an agent that is registered otherwise becomes this one. What it learned stays, and so does
            the shape of its adapter; what is stored of it is not redacted by that

        Raises
        ------
        InputError
            If something is unknown or out of its bounds, or the agent is registered otherwise.
        """
        register_template(self.swarm, name, made_from(template, domain, role, changes), replaces=replaces)
        if name in self._agents:
            self._agents.pop(name).close()
        return self.get(name)

    def get(self, name: str) -> Agent:
        """The agent of this name, in this process; an `UnknownIdError` if none is registered."""
        registered(name, self.swarm.agents)
        if name not in self._agents:
            self._agents[name] = Agent(name, swarm=self.swarm)
        return self._agents[name]

    def list(self) -> tuple[MadeAgent, ...]:
        """Every agent of the swarm, by name."""
        found = self.swarm.agents.registrations()
        return tuple(_made(name, found[name]) for name in sorted(found))

    def remove(self, name: str, *, by: str = "") -> Forgetting:
        """Forget an agent with all that came from it; see `Swarm.forget`."""
        if name in self._agents:
            self._agents.pop(name).close()
        return self.swarm.forget(agent=name, by=by)

    def train(self, name: str, examples: Iterable[Mapping[str, Any]], **options: Unpack[TrainOptions]) -> TrainReport:
        """Let an agent learn from examples, each like a line of a training file; see `Trainer.train_examples`."""
        registered(name, self.swarm.agents)
        return train_examples(self.swarm, name, examples, **options)

    def find_patterns(self, name: str, query: str | Vector, k: int = 5) -> Sequence[PatternHit]:
        """What an agent itself has evidence for, for a task like `query`, as its own adapter sees it."""
        count = check_count(k, "k", 1, 1000)
        x = self._vector(name, query)
        y = self.apply_adaptation(name, x)
        hits = self.swarm.replica.rank(x, count, y=y, agents=[name], asker=name)
        roles = self.swarm.roles()
        return [pattern_hit(hit, roles) for hit in hits]

    def apply_adaptation(self, name: str, query: str | Vector) -> Vector:
        """The vector of a query as an agent's own adapter bends it, of shape (d,)."""
        agent = self.get(name)
        agent.refresh()
        return agent.bend(self._vector(name, query))

    def close(self) -> None:
        """Send what the agents of this process have spooled, and let them go."""
        while self._agents:
            self._agents.popitem()[1].close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _vector(self, name: str, query: str | Vector) -> Vector:
        if isinstance(query, str):
            return self.swarm.embed(self.get(name).redact(check_text(query, "query")), "query")
        return check_vector(query, self.swarm.embedder.identity.dim, "query")


def made_from(
    template: str | Path | Template, domain: str | None, role: str | None, changes: Mapping[str, Any] | None
) -> Template:
    """A template with what is said beside it; parameters and errors as in `AgentFactory.create`."""
    if not isinstance(template, Template):
        template = load_template(template, domain)
    elif domain is not None:
        raise InputError(f"domain must be given to load_template, beside a Template; got {domain!r:.60}")
    if role is not None:
        template = replace(template, role=check_name(role, "role"))
    return template.changed(changes) if changes else template


def register_template(swarm: Swarm, name: str, template: Template, *, replaces: bool = False) -> MadeAgent:
    """Make an agent known as its template says; errors as in `AgentFactory.create`."""
    config = template.settings(swarm.embedder.identity.dim)
    known = swarm.agents.registration(name)
    wanted = (template.role, config, template.name, template.policy)
    if known is not None and not replaces and wanted != (known.role, known.config, known.template, known.policy):
        made = f"from template {known.template}" if known.template else "from no template"
        raise InputError(f"name must be a new agent's: {name} was made {made} and otherwise; --replace changes it")
    return _made(name, swarm.register(name, template.role, config, template=template.name, policy=template.policy))


def made_agent(swarm: Swarm, name: str) -> MadeAgent:
    """An agent as it is registered; an `UnknownIdError` if it is not."""
    return _made(name, registered(name, swarm.agents))


def _made(name: str, found: Registration) -> MadeAgent:
    return MadeAgent(name=name, role=found.role, template=found.template, policy=found.policy, config=found.config)

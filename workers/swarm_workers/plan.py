"""What a pool of a role is to do: which role, by which modules, as which agent. It travels in the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from swarm.errors import InputError
from swarm.wire.keys import check_name

_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_FACTORY = re.compile(rf"{_MODULE.pattern}:[A-Za-z_]\w*")
_ROLE, _HANDLERS, _AGENT, _FACTORY_NAME = (
    f"SWARM_WORKER_{name}" for name in ("ROLE", "HANDLERS", "AGENT", "AGENT_FACTORY")
)
VARIABLES = (_ROLE, _HANDLERS, _AGENT, _FACTORY_NAME)


@dataclass(frozen=True, slots=True, kw_only=True)
class RolePlan:
    """A role and how its tasks are done. It is given by who starts the pool, and never read from Redis."""

    role: str
    handlers: tuple[str, ...]
    """Modules with the handlers, importable by the worker."""
    agent: str = ""
    """Who does the tasks that name no agent; by default one that is called like the role."""
    factory: str = ""
    """MODULE:FUNCTION that makes what makes agents; without it there are no hooks around the tasks."""

    def __post_init__(self) -> None:
        check_name(self.role, "role")
        if self.agent:
            check_name(self.agent, "agent")
        if not self.handlers:
            raise InputError(f"handlers must name a module for role {self.role}, got none")
        for module in self.handlers:
            if not _MODULE.fullmatch(module):
                raise InputError(f"handlers must be names of modules such as my.module, got {module!r:.80}")
        if self.factory and not _FACTORY.fullmatch(self.factory):
            raise InputError(f"factory must be MODULE:FUNCTION, got {self.factory!r:.80}")

    @property
    def agent_name(self) -> str:
        return self.agent or self.role

    def environment(self) -> dict[str, str]:
        """As variables for the worker."""
        values = (self.role, ",".join(self.handlers), self.agent, self.factory)
        return dict(zip(VARIABLES, values, strict=True))


def plan_of(environment: Mapping[str, str] = os.environ) -> RolePlan | None:
    """The plan that this worker was started with; None for one of the background."""
    role, handlers, agent, factory = (environment.get(name, "") for name in VARIABLES)
    if not role:
        return None
    return RolePlan(role=role, handlers=tuple(handlers.split(",")), agent=agent, factory=factory)

"""Agents, their versions, and what taking back or forgetting came to."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from swarm.services.rewind_report import Dependent, RewoundAgent
from swarm.services.status import AgentStatus, AgentView
from swarm.sona.config import PRESETS, SonaConfig
from swarm.sona.standing import Verdict
from swarm.wire.agent_policy import AgentPolicy
from swarm_gateway.schemas.base import AS_WHOLE, Body, Key, Name, View
from swarm_gateway.schemas.receipts import VersionView


class NewAgent(Body):
    """An agent to make known, or to give another role or other learning settings (a preset)."""

    name: Name
    role: Name | None = None
    preset: Annotated[str, Field(json_schema_extra={"enum": sorted(PRESETS)})] | None = None


class Agents(View):
    """Every agent, by name."""

    agents: tuple[AgentStatus, ...]


class AgentDetail(View):
    """One agent: how it stands, its learning settings, and whether its engine is in the gateway's memory.

    `template` is what it was made from, "" if that was none; `policy` how its evidence ages, and what is taken out of
    its texts.
    """

    status: AgentStatus
    config: SonaConfig
    template: str
    policy: AgentPolicy
    registered_s: float
    is_here: bool

    @classmethod
    def of_view(cls, view: AgentView, *, is_here: bool) -> AgentDetail:
        """With what is registered of it on the same level."""
        registration = view.registration
        return cls(
            status=view.status,
            config=registration.config,
            template=registration.template,
            policy=registration.policy,
            registered_s=registration.registered_s,
            is_here=is_here,
        )


class History(View):
    """The versions of an agent that its log still holds, newest first."""

    agent: str
    versions: tuple[VersionView, ...]


class ToVersion(Body):
    """The version to go back to."""

    version: Annotated[int, Field(ge=0, le=2**53), AS_WHOLE]


class RollbackView(View):
    """`generation` is the new version, which holds what `version` held."""

    agent: str
    version: int
    generation: int
    clusters: int
    changed: int


class QuarantineView(View):
    """`verdict` is what its feedback counts for now; see `Quarantine`."""

    agent: str
    silenced: bool
    verdict: Verdict
    generation: int


class RewindBody(Body):
    """What to take back: a trajectory, of one agent if that is given, or all of an agent."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"properties": {"trajectory": {"type": "string"}}, "required": ["trajectory"]},
                {"properties": {"agent": {"type": "string"}}, "required": ["agent"]},
            ]
        }
    )

    trajectory: Key | None = None
    agent: Name | None = None
    retrain: Annotated[bool, Field(description="Train the weights of those who built on it again")] = True


class RewindView(View):
    """What was taken back, of whom, and who hung on it; see `Rewind`."""

    trajectory: str
    agents: tuple[RewoundAgent, ...]
    dependents: tuple[Dependent, ...]
    patterns: int
    bank_version: str
    outcomes: int
    lost: int


class ForgettingView(View):
    """What was erased; see `Forgetting`."""

    kind: str
    id: str
    at_s: float
    agents: tuple[RewoundAgent, ...]
    dependents: tuple[Dependent, ...]
    erased: int
    traces: int
    patterns: int
    bank_version: str
    outcomes: int
    lost: int

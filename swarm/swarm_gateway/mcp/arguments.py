"""What the tools take."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Quality = Annotated[float, Field(ge=0.0, le=1.0)]
Count = Annotated[int, Field(ge=1, le=50)]
Agent = Annotated[str, Field(description="default: yours")]
Handle = Annotated[str, Field(description="from trajectory_begin")]
Strategy = Literal["balanced", "quality", "cost", "speed"]
MAX_WAIT_S = 30.0
"""So long a call may take: clients give up after a minute."""


class Arguments(BaseModel):
    """What a tool takes: what it does not know is refused, for a misspelt filter must not answer everything."""

    model_config = ConfigDict(extra="forbid")


class Search(Arguments):
    """Of `memory_search`."""

    text: str
    k: Count = 5


class Add(Arguments):
    """Of `memory_add`."""

    task: str
    output: str
    success: bool = True
    agent: Agent = ""


class Forget(Arguments):
    """Of `memory_forget`."""

    pattern: str | None = None
    trajectory: str | None = None
    agent: str | None = None


class Begin(Arguments):
    """Of `trajectory_begin`."""

    text: str
    k: Count = 5
    agent: Agent = ""
    role: str | None = None
    routes: list[str] | None = Field(default=None, description="models to choose from")


class Step(Arguments):
    """Of `trajectory_step`."""

    trajectory_id: Handle
    reward: Quality
    node: Annotated[str, Field(description="tool or pattern used")] = ""
    latency_ms: Annotated[float, Field(ge=0.0)] = 0.0


class End(Arguments):
    """Of `trajectory_end`."""

    trajectory_id: Handle
    success: bool | None = None
    quality: Quality | None = Field(default=None, description="instead of success")
    used: str | None = Field(default=None, description="pattern_id that was followed")
    output: Annotated[str, Field(description="what worked, else")] = ""
    route: str = ""
    latency_ms: Annotated[float, Field(ge=0.0)] = 0.0
    cost: Annotated[float, Field(ge=0.0, description="USD")] = 0.0


class Query(Arguments):
    """Of `swarm_query`."""

    text: str
    k: Count = 5
    agents: list[str] | None = None
    roles: list[str] | None = None
    min_quality: Quality = 0.0


class Nothing(Arguments):
    """Of `swarm_status`."""


class Route(Arguments):
    """Of `route_model`."""

    text: str
    routes: list[str] | None = None
    strategy: Strategy = "balanced"
    max_cost: Annotated[float, Field(ge=0.0, description="USD")] | None = None
    min_quality: Quality | None = None
    agent: Agent = ""


class Operation(Arguments):
    """Of `op_status`."""

    id: str
    wait_s: Annotated[float, Field(ge=0.0, le=MAX_WAIT_S)] = 0.0

"""`/v1/agents`: who is in the swarm, their versions, and how to go back to one."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter, Response

from swarm.errors import BoundsError, UnknownIdError
from swarm.services.forget_report import Forgetting
from swarm.services.guard import GuardedSwarm
from swarm.sona.config import SonaConfig
from swarm_gateway.gateway import Gateway
from swarm_gateway.identity import Asker, Here, who
from swarm_gateway.schemas.agents import (
    AgentDetail,
    Agents,
    ForgettingView,
    History,
    NewAgent,
    QuarantineView,
    RollbackView,
    ToVersion,
)
from swarm_gateway.schemas.base import AgentName
from swarm_gateway.schemas.receipts import VersionView

router = APIRouter(prefix="/v1/agents", tags=["agents"])


@router.get("")
def agents(asker: Asker) -> Agents:
    """Every agent: role, generation, and what became of its outcomes."""
    return Agents(agents=asker.status().agents)


@router.post("", status_code=201, responses={200: {"model": AgentDetail, "description": "It was known already"}})
def register(body: NewAgent, asker: Asker, here: Here, response: Response) -> AgentDetail:
    """Make an agent known, or give it another role or other learning settings."""
    is_known = body.name in asker.roles()
    config = None
    if body.preset is not None:
        config = SonaConfig.preset(body.preset, dim=here.swarm.embedder.identity.dim)
    asker.register(body.name, body.role, config)
    response.status_code = 200 if is_known else 201
    return _detail(body.name, asker, here)


@router.get("/{name}")
def agent(name: AgentName, asker: Asker, here: Here) -> AgentDetail:
    """One agent, with its learning settings."""
    return _detail(name, asker, here)


@router.delete("/{name}")
async def forget(name: AgentName, asker: Asker, here: Here) -> ForgettingView:
    """Erase an agent and all that came from it; nothing brings it back."""
    return ForgettingView.of(await here.slowly(partial(_forget, name, asker, here)))


@router.get("/{name}/history")
def history(name: AgentName, asker: Asker) -> History:
    """Its versions, newest first, with their loss on held-out outcomes; refused updates too."""
    return History(agent=name, versions=tuple(map(VersionView.of_version, asker.history(name))))


@router.post("/{name}/rollback")
async def rollback(name: AgentName, body: ToVersion, asker: Asker, here: Here) -> RollbackView:
    """Let it hold again what it held at a version; that makes a new one."""
    try:
        return RollbackView.of(await here.slowly(partial(asker.over(here.patient).rollback, name, body.version)))
    except BoundsError as error:
        # A number as good as any other: only there is no such version to go back to.
        raise UnknownIdError(str(error)) from error


@router.post("/{name}/quarantine")
async def quarantine(name: AgentName, asker: Asker, here: Here) -> QuarantineView:
    """Keep what it learns, and let none of it count for the others, until it is released."""
    work = partial(asker.over(here.patient).quarantine, name, by=who(asker))
    return QuarantineView.of(await here.slowly(work))


@router.delete("/{name}/quarantine")
async def release(name: AgentName, asker: Asker, here: Here) -> QuarantineView:
    """Let it count again for what its reports have earned."""
    work = partial(asker.over(here.patient).release, name, by=who(asker))
    return QuarantineView.of(await here.slowly(work))


def _forget(name: str, asker: GuardedSwarm, here: Gateway) -> Forgetting:
    with here.engines.forgetting(name):
        return asker.over(here.patient).forget(agent=name, by=who(asker))


def _detail(name: str, asker: Asker, here: Here) -> AgentDetail:
    return AgentDetail.of_view(asker.agent(name), is_here=here.engines.role_of(name) is not None)

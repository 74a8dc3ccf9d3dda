"""`connect`: a client by the address of what it connects to."""

from __future__ import annotations

import os
from types import ModuleType

from swarm.errors import InputError, RuntimeSetupError
from swarm.settings import Settings, load_settings
from swarm.wire.keys import check_name
from swarm_agents.agent import Agent
from swarm_agents.client.interface import AsyncSwarmClient, SwarmClient
from swarm_agents.client.local import AsyncLocalClient, LocalClient, quick_swarm

_REDIS = ("redis://", "rediss://", "unix://")
_GATEWAY = ("http://", "https://")


def connect(target: str | None = None, *, agent: str, role: str | None = None, token: str | None = None) -> SwarmClient:
    """A client as the agent of this name.

    Parameters
    ----------
    target : `http://` or `https://`, a gateway; `redis://`, `rediss://` or `unix://`, that Redis, directly; by default
        the gateway of SWARM_GATEWAY_URL, else the Redis of SWARM_REDIS_URL, else the embedded one
    role : what the agent does, as for `Agent`
    token : for a gateway; by default SWARM_TOKEN

    Raises
    ------
    InputError
        If it is no such address, or a token is given for Redis, which knows none.
    RuntimeSetupError
        If a gateway is meant and httpx (extra `client`) is not installed.
    """
    settings, url = _resolved(target, token)
    if url is None:
        return LocalClient(Agent(agent, role=role, swarm=quick_swarm(settings)))
    client: SwarmClient = _http().HttpClient(url, check_name(agent, "agent"), role=role, token=_token(token))
    return client


def connect_async(
    target: str | None = None, *, agent: str, role: str | None = None, token: str | None = None
) -> AsyncSwarmClient:
    """The same for coroutines; opening one over Redis loads the embedder here, which takes a moment."""
    settings, url = _resolved(target, token)
    if url is None:
        return AsyncLocalClient(LocalClient(Agent(agent, role=role, swarm=quick_swarm(settings))))
    client: AsyncSwarmClient = _http().AsyncHttpClient(url, check_name(agent, "agent"), role=role, token=_token(token))
    return client


class Opener:
    """Opens async clients of several agents; parameters and errors as of `connect`.

    Those over Redis share one swarm, with its embedder, replica and connection; `close` closes it, after them.
    """

    def __init__(self, target: str | None = None, token: str | None = None) -> None:
        settings, self._url = _resolved(target, token)
        self._token = _token(token)
        self._swarm = quick_swarm(settings) if self._url is None else None

    def open(self, agent: str) -> AsyncSwarmClient:
        """The client of an agent."""
        if self._swarm is not None:
            return AsyncLocalClient(LocalClient(Agent(agent, swarm=self._swarm), closes_swarm=False))
        client: AsyncSwarmClient = _http().AsyncHttpClient(self._url, check_name(agent, "agent"), token=self._token)
        return client

    def close(self) -> None:
        """Close what they share."""
        if self._swarm is not None:
            self._swarm.close()


def _resolved(target: str | None, token: str | None) -> tuple[Settings, str | None]:
    """The settings, and the gateway's URL if it is one that is meant."""
    settings = load_settings()
    target = settings.gateway_url if target is None else target
    if isinstance(target, str) and target.startswith(_GATEWAY):
        return settings, target
    if not (target is None or (isinstance(target, str) and target.startswith(_REDIS))):
        # What it is stays unsaid: it may hold a password.
        raise InputError(f"target must begin with one of {', '.join((*_GATEWAY, *_REDIS))}")
    if token is not None:
        raise InputError("token is for a gateway: Redis has users (swarm acl)")
    return (settings if target is None else settings.model_copy(update={"redis_url": target})), None


def _token(given: str | None) -> str | None:
    return os.environ.get("SWARM_TOKEN") if given is None else given


def _http() -> ModuleType:
    try:
        from swarm_agents.client import http
    except ImportError as error:
        raise RuntimeSetupError(f"{error}: pip install 'sona-swarm[client]'") from error
    return http

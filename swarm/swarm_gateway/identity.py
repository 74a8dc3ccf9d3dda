"""Who asks: the token of a request, and the swarm as it may use it."""

from __future__ import annotations

from typing import Annotated

from anyio import to_thread
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from swarm.errors import TokenError
from swarm.services.guard import GuardedSwarm
from swarm.settings import Settings
from swarm_gateway.addresses import is_loopback
from swarm_gateway.boundary import is_unix_socket
from swarm_gateway.gateway import Gateway

_bearer = HTTPBearer(auto_error=False, description="A token of `swarm token create`; not needed on loopback.")


async def gateway_of(request: Request) -> Gateway:
    """The gateway of this process. A coroutine, as everything that every request needs: else it takes a thread."""
    return _gateway(request)


def _gateway(request: Request) -> Gateway:
    gateway = request.app.state.gateway
    assert isinstance(gateway, Gateway)
    return gateway


async def asker(
    request: Request, bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> GuardedSwarm:
    """The swarm as whoever asks may use it.

    Raises
    ------
    TokenError
        If a token is needed and there is none, or it is none of this swarm's.
    """
    gateway = _gateway(request)
    token = None if bearer is None else bearer.credentials
    if token is None and _must_show_one(request, gateway.settings):
        raise TokenError("a token is needed here: Authorization: Bearer TOKEN, one of `swarm token create`")
    if (known := gateway.known(token)) is not None:
        return known
    # Redis is asked once for each token, and not on the event loop.
    return await to_thread.run_sync(gateway.guarded, token)


async def asker_of(request: Request) -> GuardedSwarm:
    """The same for a route that is no function of FastAPI's."""
    return await asker(request, await _bearer(request))


def who(asker: GuardedSwarm) -> str:
    """How whoever asks is named in what is kept of a pin or a forgetting."""
    return "http" if asker.access is None else str(asker.access)


def _must_show_one(request: Request, settings: Settings) -> bool:
    # Who requires tokens on loopback means the socket, too.
    return settings.http_require_token or (needs_token(settings) and not is_unix_socket(request.scope))


def needs_token(settings: Settings) -> bool:
    """Whether everybody needs a token who does not come over the Unix socket."""
    return settings.http_require_token or not is_loopback(settings.http_host)


Asker = Annotated[GuardedSwarm, Depends(asker)]
Here = Annotated[Gateway, Depends(gateway_of)]

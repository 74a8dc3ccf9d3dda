"""Who asks: the token of a request, and the swarm as it may use it."""

from __future__ import annotations

from typing import Annotated

from anyio import to_thread
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from swarm.errors import TokenError
from swarm.services.guard import GuardedSwarm
from swarm_gateway.addresses import is_loopback
from swarm_gateway.boundary import is_unix_socket
from swarm_gateway.gateway import Gateway

_bearer = HTTPBearer(auto_error=False, description="A token of `swarm token create`; not needed on loopback.")


def gateway_of(request: Request) -> Gateway:
    """The gateway of this process."""
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
    gateway = gateway_of(request)
    token = None if bearer is None else bearer.credentials
    if token is None and _needs_token(request, gateway):
        raise TokenError("a token is needed here: Authorization: Bearer TOKEN, one of `swarm token create`")
    if (known := gateway.known(token)) is not None:
        return known
    # Redis is asked once for each token, and not on the event loop.
    return await to_thread.run_sync(gateway.guarded, token)


def _needs_token(request: Request, gateway: Gateway) -> bool:
    settings = gateway.settings
    if settings.http_require_token:
        return True
    return not (is_unix_socket(request.scope) or is_loopback(settings.http_host))


Asker = Annotated[GuardedSwarm, Depends(asker)]
Here = Annotated[Gateway, Depends(gateway_of)]

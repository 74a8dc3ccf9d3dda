"""What both clients over HTTP have: whom they speak for, how a request is made, and what its answer says."""

from __future__ import annotations

import json
from typing import Any

import httpx

from swarm.errors import DamagedRecordError, GatewayUnavailableError, InputError, StoreUnavailableError
from swarm_agents.breaker import Breaker
from swarm_agents.client.answers import failure_of
from swarm_agents.client.attempts import Patience
from swarm_agents.client.conversation import Call, Conversation

_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
DIRECT = {f"all://{host}": None for host in ("localhost", "127.0.0.1", "[::1]")}
"""No proxy of the environment stands before this machine itself."""


class GatewayCalls:
    """One agent's side of what is said to a gateway, without the sending."""

    def __init__(self, url: str, agent: str, role: str | None, patience: Patience) -> None:
        self.url = url.rstrip("/")
        self.breaker = Breaker()
        self._talk = Conversation(agent, role)
        self._patience = patience

    @property
    def name(self) -> str:
        """The agent."""
        return self._talk.agent

    @property
    def lost_steps(self) -> int:
        """Steps of which nobody knows whether they arrived; they are not sent again."""
        return self._talk.lost_steps

    def _check_breaker(self, call: Call) -> None:
        if call.is_hook and self.breaker.is_open:
            message = f"the gateway at {self.url} was not there a moment ago: {self.breaker.last_error}"
            raise GatewayUnavailableError(message, was_sent=False)

    def _away(self, error: httpx.RequestError) -> GatewayUnavailableError:
        # The class says what happened; the words of httpx may be empty.
        message = f"the gateway at {self.url} does not answer ({type(error).__name__}: {error})"
        away = GatewayUnavailableError(message, was_sent=not isinstance(error, _UNSENT))
        self.breaker.failed(away)
        return away

    def _read(self, response: httpx.Response) -> Any:
        self.breaker.succeeded()
        if response.is_success:
            return _value(response)
        failure = failure_of(response.status_code, _json(response))
        if isinstance(failure, StoreUnavailableError):
            self.breaker.noted(failure)
        raise failure


def checked_url(url: str) -> httpx.URL:
    """`url`, if a gateway may be there; else `InputError`."""
    try:
        found = httpx.URL(url)
    except (httpx.InvalidURL, TypeError):
        found = httpx.URL("")
    if found.scheme not in ("http", "https") or not found.host:
        # What it is stays unsaid: it may hold a password.
        raise InputError("url must be http://HOST:PORT or https://HOST:PORT")
    return found


def headers_of(token: str | None) -> dict[str, str]:
    """Those of every request."""
    told = {"Content-Type": "application/json"}
    return told if token is None else told | {"Authorization": f"Bearer {token}"}


def content_of(call: Call) -> bytes | None:
    """The JSON of a call's body."""
    if call.body is None:
        return None
    try:
        return json.dumps(call.body, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise InputError(f"what is sent to a gateway must be JSON: {error!s:.120}") from error


def _value(response: httpx.Response) -> Any:
    try:
        return response.json() if response.content else None
    except ValueError as error:
        raise DamagedRecordError(f"the gateway's answer is no JSON: {error}") from error


def _json(response: httpx.Response) -> object:
    try:
        return response.json()
    except ValueError:
        return None

"""Clients of a gateway over HTTP: a plain one and an async one, which say the same."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, Self, TypeVar, Unpack

import anyio
import httpx

from swarm.errors import DamagedRecordError, GatewayUnavailableError, InputError, StoreUnavailableError, SwarmError
from swarm.services.find import Found
from swarm.services.hits import PatternHit
from swarm.services.receipts import Receipt
from swarm.services.route_advice import RouteAdvice, RouteOptions
from swarm.services.status import SwarmStatus
from swarm.services.tasks import TaskOptions, TaskReceipt
from swarm_agents.advice import TaskAdvice
from swarm_agents.breaker import Breaker
from swarm_agents.client.answers import failure_of
from swarm_agents.client.attempts import DEFAULT_PATIENCE, Attempts, Patience
from swarm_agents.client.blocks import async_task_block, task_block
from swarm_agents.client.conversation import Call, Conversation, Talk
from swarm_agents.client.interface import AfterOptions, BeforeOptions, PatternOptions, QueryOptions, StepOptions
from swarm_agents.task import Task

_T = TypeVar("_T")
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_DIRECT = {f"all://{host}": None for host in ("localhost", "127.0.0.1", "[::1]")}
"""No proxy of the environment stands before this machine itself."""


class _Common:
    """What both have: whom they speak for, and how long they wait."""

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


class HttpClient(_Common):
    """A `SwarmClient` of the gateway at `url`.

    Parameters
    ----------
    url : `http://` or `https://`
    agent, role : whose calls these are
    token : of `swarm token create`; on loopback a gateway asks for none by default
    patience : how long calls may take, and how often they are tried

    Raises
    ------
    InputError
        If `url` is no URL.
    """

    def __init__(
        self,
        url: str,
        agent: str,
        *,
        role: str | None = None,
        token: str | None = None,
        patience: Patience = DEFAULT_PATIENCE,
    ) -> None:
        super().__init__(url, agent, role, patience)
        self._http = httpx.Client(base_url=_checked(url), headers=_headers(token), mounts=_DIRECT)

    def before_task(self, text: str, **options: Unpack[BeforeOptions]) -> TaskAdvice:
        """See `SwarmClient.before_task`; without the gateway an empty advice, which is not fresh."""
        return self._run(self._talk.before_task(text, **options))

    def step(self, trajectory_id: str, reward: float, **options: Unpack[StepOptions]) -> None:
        """See `SwarmClient.step`; without the gateway it is sent before the task's end."""
        self._run(self._talk.step(trajectory_id, reward, **options))

    def after_task(self, trajectory_id: str, **options: Unpack[AfterOptions]) -> Receipt:
        """See `SwarmClient.after_task`; a task begun without the gateway is begun and ended now.

        Raises
        ------
        StoreUnavailableError
            If the gateway is not there: the task stays open here, so call it again.
        """
        return self._run(self._talk.after_task(trajectory_id, **options))

    def abandon(self, trajectory_id: str) -> None:
        """See `SwarmClient.abandon`."""
        self._run(self._talk.abandon(trajectory_id))

    def task(self, text: str, **options: Unpack[BeforeOptions]) -> AbstractContextManager[Task]:
        """See `SwarmClient.task`."""
        return task_block(self, text, **options)

    def query(self, text: str, **options: Unpack[QueryOptions]) -> list[PatternHit]:
        """See `SwarmClient.query`."""
        return self._run(self._talk.query(text, **options))

    def route(self, text: str, *, tools: Sequence[str] = (), **options: Unpack[RouteOptions]) -> RouteAdvice:
        """See `SwarmClient.route`."""
        return self._run(self._talk.route(text, tools=tools, **options))

    def store_pattern(self, task: str, output: str, **options: Unpack[PatternOptions]) -> Receipt:
        """See `SwarmClient.store_pattern`."""
        return self._run(self._talk.store_pattern(task, output, **options))

    def submit(self, task: str | Mapping[str, Any], **options: Unpack[TaskOptions]) -> TaskReceipt:
        """See `SwarmClient.submit`; a payload must be JSON."""
        return self._run(self._talk.submit(task, **options))

    def receipt(self, receipt_id: str, wait: float = 0.0) -> Found:
        """See `SwarmClient.receipt`; bytes in a payload or a result come as hexadecimal digits."""
        return self._run(self._talk.receipt(receipt_id, wait))

    def status(self) -> SwarmStatus:
        """See `SwarmClient.status`."""
        return self._run(self._talk.status())

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, talk: Talk[_T]) -> _T:
        try:
            call = next(talk)
            while True:
                try:
                    answer = self._send(call)
                except SwarmError as error:
                    call = talk.throw(error)
                else:
                    call = talk.send(answer)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]  # what a generator returns is of its type

    def _send(self, call: Call) -> Any:
        self._check_breaker(call)
        attempts = Attempts(call, self._patience)
        while True:
            try:
                return self._once(call, attempts.timeout)
            except SwarmError as error:
                time.sleep(attempts.pause(error))

    def _once(self, call: Call, timeout: float) -> Any:
        try:
            response = self._http.request(
                call.method, call.path, content=_content(call), params=dict(call.query), timeout=timeout
            )
        except httpx.RequestError as error:
            raise self._away(error) from error
        return self._read(response)


class AsyncHttpClient(_Common):
    """An `AsyncSwarmClient` of the gateway at `url`; parameters and errors as of `HttpClient`."""

    def __init__(
        self,
        url: str,
        agent: str,
        *,
        role: str | None = None,
        token: str | None = None,
        patience: Patience = DEFAULT_PATIENCE,
    ) -> None:
        super().__init__(url, agent, role, patience)
        self._http = httpx.AsyncClient(base_url=_checked(url), headers=_headers(token), mounts=_DIRECT)

    async def before_task(self, text: str, **options: Unpack[BeforeOptions]) -> TaskAdvice:
        """See `HttpClient.before_task`."""
        return await self._run(self._talk.before_task(text, **options))

    async def step(self, trajectory_id: str, reward: float, **options: Unpack[StepOptions]) -> None:
        """See `HttpClient.step`."""
        await self._run(self._talk.step(trajectory_id, reward, **options))

    async def after_task(self, trajectory_id: str, **options: Unpack[AfterOptions]) -> Receipt:
        """See `HttpClient.after_task`."""
        return await self._run(self._talk.after_task(trajectory_id, **options))

    async def abandon(self, trajectory_id: str) -> None:
        """See `HttpClient.abandon`."""
        await self._run(self._talk.abandon(trajectory_id))

    def task(self, text: str, **options: Unpack[BeforeOptions]) -> AbstractAsyncContextManager[Task]:
        """See `AsyncSwarmClient.task`."""
        return async_task_block(self, text, **options)

    async def query(self, text: str, **options: Unpack[QueryOptions]) -> list[PatternHit]:
        """See `HttpClient.query`."""
        return await self._run(self._talk.query(text, **options))

    async def route(self, text: str, *, tools: Sequence[str] = (), **options: Unpack[RouteOptions]) -> RouteAdvice:
        """See `HttpClient.route`."""
        return await self._run(self._talk.route(text, tools=tools, **options))

    async def store_pattern(self, task: str, output: str, **options: Unpack[PatternOptions]) -> Receipt:
        """See `HttpClient.store_pattern`."""
        return await self._run(self._talk.store_pattern(task, output, **options))

    async def submit(self, task: str | Mapping[str, Any], **options: Unpack[TaskOptions]) -> TaskReceipt:
        """See `HttpClient.submit`."""
        return await self._run(self._talk.submit(task, **options))

    async def receipt(self, receipt_id: str, wait: float = 0.0) -> Found:
        """See `HttpClient.receipt`."""
        return await self._run(self._talk.receipt(receipt_id, wait))

    async def status(self) -> SwarmStatus:
        """See `HttpClient.status`."""
        return await self._run(self._talk.status())

    async def close(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _run(self, talk: Talk[_T]) -> _T:
        try:
            call = next(talk)
            while True:
                try:
                    answer = await self._send(call)
                except SwarmError as error:
                    call = talk.throw(error)
                else:
                    call = talk.send(answer)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]  # what a generator returns is of its type

    async def _send(self, call: Call) -> Any:
        self._check_breaker(call)
        attempts = Attempts(call, self._patience)
        while True:
            try:
                return await self._once(call, attempts.timeout)
            except SwarmError as error:
                await anyio.sleep(attempts.pause(error))

    async def _once(self, call: Call, timeout: float) -> Any:
        try:
            response = await self._http.request(
                call.method, call.path, content=_content(call), params=dict(call.query), timeout=timeout
            )
        except httpx.RequestError as error:
            raise self._away(error) from error
        return self._read(response)


def _checked(url: str) -> httpx.URL:
    try:
        found = httpx.URL(url)
    except (httpx.InvalidURL, TypeError):
        found = httpx.URL("")
    if found.scheme not in ("http", "https") or not found.host:
        # What it is stays unsaid: it may hold a password.
        raise InputError("url must be http://HOST:PORT or https://HOST:PORT")
    return found


def _headers(token: str | None) -> dict[str, str]:
    told = {"Content-Type": "application/json"}
    return told if token is None else told | {"Authorization": f"Bearer {token}"}


def _content(call: Call) -> bytes | None:
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

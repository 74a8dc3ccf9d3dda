"""What a client and a gateway say to each other, without a socket: each operation yields calls and gets answers.

So that the plain and the async client are two ways to make a call, and nothing else.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, TypeVar, Unpack
from urllib.parse import quote

import numpy as np

from swarm.embed.text import check_text
from swarm.errors import CapacityError, GatewayUnavailableError, StoreUnavailableError, UnknownIdError
from swarm.services.find import Found
from swarm.services.hits import PatternHit
from swarm.services.receipts import Receipt
from swarm.services.recording import check_idempotency_key
from swarm.services.route_advice import RouteAdvice, RouteOptions
from swarm.services.status import SwarmStatus
from swarm.services.tasks import TaskOptions, TaskReceipt
from swarm.sona.vectors import check_number
from swarm_agents.advice import TaskAdvice
from swarm_agents.agent import MAX_OPEN
from swarm_agents.client.answers import found_of, items_of
from swarm_agents.client.interface import AfterOptions, BeforeOptions, PatternOptions, QueryOptions, StepOptions
from swarm_agents.client.rebuild import rebuild

_T = TypeVar("_T")
_NO_VECTOR = np.zeros(0, dtype=np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request. One that is idempotent may be sent again when no answer came."""

    method: Literal["GET", "POST", "DELETE"]
    path: str
    body: Mapping[str, Any] | None = None
    query: Mapping[str, Any] = field(default_factory=dict)
    is_idempotent: bool = True
    is_hook: bool = False
    """A task waits for it: it is tried once, and not for long."""
    wait: float = 0.0
    """Seconds that the gateway may take longer, because it was asked to wait."""


Talk: TypeAlias = Generator[Call, Any, _T]
"""Yields calls, is sent the JSON of their answers or thrown their errors, and returns what they come to."""


@dataclass(slots=True)
class _OpenTask:
    """A task under way, and what the gateway was not told of it yet."""

    text: str
    options: BeforeOptions
    is_begun: bool = False
    steps: list[Mapping[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What the gateway advises; nothing, if it is not there."""

    task_type: str = ""
    patterns: tuple[PatternHit, ...] = ()
    route: RouteAdvice | None = None
    is_fresh: bool = False


class Conversation:
    """What one agent says to a gateway. It remembers what of its open tasks the gateway was not told."""

    def __init__(self, agent: str, role: str | None) -> None:
        self.agent = agent
        self._role = role
        self._open: dict[str, _OpenTask] = {}
        self._lock = threading.Lock()
        self.lost_steps = 0
        """Steps of which nobody knows whether they arrived; sent again, they could count twice."""

    def before_task(self, text: str, **options: Unpack[BeforeOptions]) -> Talk[TaskAdvice]:
        """An id is made here, so that the task has one without the gateway, too."""
        given = options.pop("trajectory_id", None)
        name = uuid.uuid4().hex if given is None else check_idempotency_key(given, "trajectory_id")
        task = _OpenTask(check_text(text), options)
        try:
            answer = yield self._begin(name, task)
        except StoreUnavailableError:
            self._remember(name, task)
            return _advice(name, text, _Told())
        task.is_begun = True
        self._remember(name, task)
        return _advice(name, text, rebuild(_Told, answer))

    def step(self, trajectory_id: str, reward: float, **options: Unpack[StepOptions]) -> Talk[None]:
        """What cannot be sent is sent before the task's end; what perhaps was sent, is not sent again."""
        step = {"agent": self.agent, "reward": check_number(reward, "reward", 0.0, 1.0), **_plain(options)}
        if isinstance(node := options.get("node"), PatternHit):
            step["node"] = node.action
        task = self._open.get(check_idempotency_key(trajectory_id, "trajectory_id"))
        if task is None:
            # Begun by another process of this agent.
            yield self._step(trajectory_id, step, is_hook=True)
            return
        task.steps.append(step)
        if task.is_begun:
            with suppress(StoreUnavailableError):
                yield from self._send_steps(trajectory_id, task, is_hook=True)

    def after_task(self, trajectory_id: str, **options: Unpack[AfterOptions]) -> Talk[Receipt]:
        """First what the gateway was not told of the task; should it fail, the task stays open for another try."""
        told = _plain(options)
        if isinstance(used := options.get("used"), PatternHit):
            told["used"] = used.pattern_id
        task = self._open.get(check_idempotency_key(trajectory_id, "trajectory_id"))
        if task is not None:
            yield from self._catch_up(trajectory_id, task)
        path, wait = f"{_path(trajectory_id)}/end", options.get("wait") or 0.0
        try:
            answer = yield Call(method="POST", path=path, body={"agent": self.agent, **told}, wait=wait)
        except UnknownIdError:
            if "used" not in told:
                self._forget(trajectory_id)
            raise
        self._forget(trajectory_id)
        return rebuild(Receipt, answer)

    def abandon(self, trajectory_id: str) -> Talk[None]:
        """Nothing is said of a task that the gateway never heard of."""
        task = self._open.get(check_idempotency_key(trajectory_id, "trajectory_id"))
        if task is None or task.is_begun:
            yield Call(method="DELETE", path=_path(trajectory_id), query={"agent": self.agent})
        self._forget(trajectory_id)

    def query(self, text: str, **options: Unpack[QueryOptions]) -> Talk[list[PatternHit]]:
        """Patterns of the whole swarm."""
        answer = yield Call(method="POST", path="/v1/query", body={"text": text, **_plain(options)})
        return [rebuild(PatternHit, one) for one in items_of(answer, "patterns")]

    def route(self, text: str, *, tools: Sequence[str] = (), **options: Unpack[RouteOptions]) -> Talk[RouteAdvice]:
        """A decision counts in the budgets: it is asked for once."""
        body = {"text": text, "agent": self.agent, "tools": list(tools), "explain": True, **_plain(options)}
        answer = yield Call(method="POST", path="/v1/route", body=body, is_idempotent=False)
        return rebuild(RouteAdvice, answer)

    def store_pattern(self, task: str, output: str, **options: Unpack[PatternOptions]) -> Talk[Receipt]:
        """Under a key, so that it may be sent again."""
        body = {"task": task, "output": output, "agent": self.agent, **_keyed(_plain(options))}
        return rebuild(Receipt, (yield Call(method="POST", path="/v1/patterns", body=body)))

    def submit(self, task: str | Mapping[str, Any], **options: Unpack[TaskOptions]) -> Talk[TaskReceipt]:
        """Under a key, so that it may be sent again."""
        given = {"payload": task} if isinstance(task, Mapping) else {"text": task}
        body = {"submitter": self.agent, **given, **_keyed(_plain(options))}
        return rebuild(TaskReceipt, (yield Call(method="POST", path="/v1/tasks", body=body)))

    def receipt(self, receipt_id: str, wait: float = 0.0) -> Talk[Found]:
        """What became of it."""
        path = f"/v1/receipts/{quote(receipt_id, safe='/:')}"
        return found_of((yield Call(method="GET", path=path, query={"wait": wait} if wait else {}, wait=wait)))

    def status(self) -> Talk[SwarmStatus]:
        """How the swarm stands."""
        return rebuild(SwarmStatus, (yield Call(method="GET", path="/v1/status")))

    def _begin(self, name: str, task: _OpenTask) -> Call:
        body = {"agent": self.agent, "role": self._role, "text": task.text, "trajectory_id": name}
        # The same id begins the same task anew, so it may be sent again.
        return Call(method="POST", path="/v1/trajectories", body={**body, **_plain(task.options)}, is_hook=True)

    def _step(self, name: str, step: Mapping[str, Any], *, is_hook: bool) -> Call:
        return Call(method="POST", path=f"{_path(name)}/steps", body=step, is_idempotent=False, is_hook=is_hook)

    def _catch_up(self, name: str, task: _OpenTask) -> Talk[None]:
        if not task.is_begun:
            yield self._begin(name, task)
            task.is_begun = True
        yield from self._send_steps(name, task, is_hook=False)

    def _send_steps(self, name: str, task: _OpenTask, *, is_hook: bool) -> Talk[None]:
        """In their order; one that perhaps arrived is not sent again."""
        while task.steps:
            step = task.steps.pop(0)
            try:
                yield self._step(name, step, is_hook=is_hook)
            except StoreUnavailableError as error:
                if isinstance(error, GatewayUnavailableError) and error.was_sent:
                    self.lost_steps += 1
                else:
                    task.steps.insert(0, step)
                raise

    def _remember(self, name: str, task: _OpenTask) -> None:
        with self._lock:
            if name not in self._open and len(self._open) >= MAX_OPEN:
                raise CapacityError(f"agent {self.agent}: {MAX_OPEN} tasks are under way here; end some first")
            self._open[name] = task

    def _forget(self, name: str) -> None:
        with self._lock:
            self._open.pop(name, None)


def _advice(name: str, text: str, told: _Told) -> TaskAdvice:
    return TaskAdvice(
        trajectory_id=name,
        text=text,
        task_type=told.task_type,
        patterns=told.patterns,
        route=told.route,
        is_fresh=told.is_fresh,
        query=_NO_VECTOR,
        adapted=_NO_VECTOR,
    )


def _path(trajectory_id: str) -> str:
    return f"/v1/trajectories/{quote(trajectory_id, safe='')}"


def _plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as JSON has them; what is None was not given."""
    return {
        name: list(value) if isinstance(value, set | frozenset | tuple) else value
        for name, value in options.items()
        if value is not None
    }


def _keyed(body: dict[str, Any]) -> dict[str, Any]:
    return {"idempotency_key": uuid.uuid4().hex, **body}

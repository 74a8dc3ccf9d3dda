"""What a user writes to have tasks done: one function for each role.

from swarm_workers.handlers import Task, handler

@handler("coder")
def code(task: Task) -> str:
    task.progress(0.5, "half way")
    return f"done: {task.text}"
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from swarm.errors import InputError, RuntimeSetupError
from swarm.sona.vectors import check_number
from swarm.wire.keys import check_name

_DEFERRED = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)
MAX_DELAY = 86_400.0

Tell = Callable[[float, str], bool]


class Retry(Exception):
    """Raised by a handler: try the task again, after `delay` seconds or the usual back-off."""

    def __init__(self, why: str = "asked to be tried again", *, delay: float | None = None) -> None:
        super().__init__(why)
        self.delay = None if delay is None else check_number(delay, "delay", 0.0, MAX_DELAY)


class Permanent(Exception):
    """Raised by a handler: no further attempt can succeed."""


class Stopped(BaseException):
    """Raised by `Task.progress`: the task was cancelled, or another worker has it. Let it through.

    No `Exception`, so that a handler that catches those stops nevertheless.
    """


@dataclass(slots=True, kw_only=True)
class Task:
    """What a handler is given: the task, what is known for such tasks, and what it can say about its doing."""

    id: str
    role: str
    text: str
    payload: Mapping[str, Any]
    agent: str
    """Whose hooks are around it."""
    attempt: int
    """1 for the first one."""
    advice: Any = None
    """What the pre-task hook answered (`TaskAdvice`); None if there is no agent, or its hook failed."""
    tell: Tell = field(repr=False)
    pattern: Any = None
    output: str = ""
    quality: float | None = None
    route: str = ""
    cost: float = 0.0

    def progress(self, fraction: float, note: str = "") -> None:
        """Say how far it is, in [0, 1].

        Raises
        ------
        Stopped
            If it was cancelled, or this worker has lost it.
        """
        if not self.tell(fraction, note):
            raise Stopped(f"task {self.id} is not wanted any more")

    def used(self, pattern: Any) -> None:
        """Name the pattern of the advice that was followed."""
        self.pattern = pattern


@dataclass(frozen=True, slots=True)
class Handler:
    """A function that does the tasks of a role; called like the function."""

    role: str
    function: Callable[[Task], Any]

    def __call__(self, task: Task) -> Any:
        return self.function(task)


def handler(role: str) -> Callable[[Callable[[Task], Any]], Handler]:
    """Decorator: the function does the tasks of `role`. What it answers is the result; an exception is a failure."""
    check_name(role, "role")

    def made(function: Callable[[Task], Any]) -> Handler:
        if any(is_deferred(function) for is_deferred in _DEFERRED):
            raise InputError("a handler must be a plain function: run what is deferred inside it")
        return Handler(role, function)

    return made


def load_handlers(modules: Sequence[str]) -> dict[str, Handler]:
    """The handlers in these modules, by role; nothing else is ever imported for a task.

    Raises
    ------
    RuntimeSetupError
        If a module cannot be imported, or two functions do the tasks of one role.
    """
    found: dict[str, Handler] = {}
    for name in modules:
        for one in vars(_imported(name)).values():
            if isinstance(one, Handler) and found.setdefault(one.role, one) is not one:
                raise RuntimeSetupError(f"module {name}: role {one.role!r} has two handlers")
    return found


def find_handler(role: str, modules: Sequence[str]) -> Handler:
    """The handler of a role.

    Raises
    ------
    RuntimeSetupError
        As `load_handlers`, or if the modules have none for the role.
    """
    found = load_handlers(modules)
    if role not in found:
        raise RuntimeSetupError(
            f"no handler for role {role!r} in {', '.join(modules)}: found {', '.join(sorted(found)) or 'none'}"
        )
    return found[role]


def _imported(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise RuntimeSetupError(
            f"cannot import the handlers {name!r}: {error} (python path: {':'.join(sys.path[:3])}, ...)"
        ) from error

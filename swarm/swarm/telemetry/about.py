"""What the work at hand is about, for every line that is logged meanwhile: agent, trajectory, task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

FIELDS = ("agent", "trajectory_id", "task_id")
"""What can be said of a line; a log call can say it, too, in its `extra`."""
_ABOUT: ContextVar[Mapping[str, str]] = ContextVar("about")
_NOTHING: Mapping[str, str] = {}


@contextmanager
def about(*, agent: str = "", trajectory_id: str = "", task_id: str = "") -> Iterator[None]:
    """Until the end of the block this thread works on these, beside what it works on already."""
    said = {"agent": agent, "trajectory_id": trajectory_id, "task_id": task_id}
    token = _ABOUT.set({**said_now(), **{name: value for name, value in said.items() if value}})
    try:
        yield
    finally:
        _ABOUT.reset(token)


def said_now() -> Mapping[str, str]:
    """What this thread works on."""
    return _ABOUT.get(_NOTHING)

"""What an agent did, and what would have been right, as names that can be compared."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.splits import numbered
from benchmarks.trajectories import Tasks
from swarm.sona.vectors import Integers


def function_name(call: str) -> str:
    """The function that a call names.

    >>> function_name('email.send_email.func(subject="Hi")')
    'email.send_email'
    """
    return call.split("(", 1)[0].strip().removesuffix(".func")


def function_names(calls: Sequence[str]) -> tuple[str, ...]:
    """The different functions in `calls`, sorted."""
    return tuple(sorted({function_name(call) for call in calls}))


def plan_of(calls: Sequence[str]) -> str:
    """The plan that a run followed: its functions, whatever their order and arguments.

    >>> plan_of(["b.func(x=1)", "a.func()", "b.func(x=2)"])
    'a b'
    """
    return " ".join(function_names(calls)) or "no calls"


def kinds_of(tasks: Tasks) -> tuple[Integers, Integers, Integers]:
    """Numbers of shape (n,) of what tasks can have in common: template, functions of the answer, the very answer.

    Where no two tasks share a template, the functions stand for it.
    """
    functions, _ = numbered([" ".join(function_names(answer)) for answer in tasks.answers])
    answers, _ = numbered(["\n".join(answer).lower() for answer in tasks.answers])
    has_templates = len(tasks.template_names) < len(tasks.ids)
    return (tasks.templates if has_templates else functions), functions, answers

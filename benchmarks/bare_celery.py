"""Bare Celery with a task that does nothing, as a person would write it: the floor of `bench_load`."""

from __future__ import annotations

import os

from celery import Celery

NOOP = "noop"


def bare_app(broker: str) -> Celery:
    """An app with its defaults, but that results are ignored."""
    made = Celery("bare", broker=broker, set_as_current=False)
    made.conf.task_ignore_result = True
    made.task(name=NOOP, shared=False)(noop)
    return made


def noop() -> None:
    """Nothing."""


app = bare_app(os.environ.get("BARE_BROKER", ""))

"""Bare Celery with a task that does nothing, as a person would write it: the floor of `bench_load`."""

from __future__ import annotations

import os

from celery import Celery

app = Celery("bare", broker=os.environ.get("BARE_BROKER", ""))
app.conf.task_ignore_result = True


@app.task(name="noop")  # type: ignore[untyped-decorator]  # celery ships no type information
def noop() -> None:
    """Nothing."""

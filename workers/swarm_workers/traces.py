"""A process of a worker sends its spans before it ends: Celery ends it in a way that Python does not hear of."""

from __future__ import annotations

from typing import Any

from celery.signals import worker_process_shutdown

from swarm.telemetry.spans import flush


def register() -> None:
    """Have the processes of this worker do so."""
    # A strong reference: nobody else holds it.
    worker_process_shutdown.connect(_flush, weak=False)


def _flush(**_: Any) -> None:
    flush()

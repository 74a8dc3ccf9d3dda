"""A worker logs as its settings say, without secrets: Celery logs its broker's URL, and what a server answers."""

from __future__ import annotations

import logging
from typing import Any

from celery.signals import after_setup_logger, after_setup_task_logger
from celery.utils.log import get_multiprocessing_logger

from swarm.settings import Settings
from swarm.telemetry.logs import log_to_stderr


def format_logs(settings: Settings) -> None:
    """Have everything that this worker and its processes log pass through our formatter."""
    # Until Celery has set up its own handlers, which then get the same formatter.
    formatter = log_to_stderr(settings)

    def use(logger: logging.Logger, **_: Any) -> None:
        # Celery sets up the logger of its pool in silence, before the others.
        for handler in (*logger.handlers, *get_multiprocessing_logger().handlers):
            handler.setFormatter(formatter)

    # Strong references: nobody else holds these.
    after_setup_logger.connect(use, weak=False)
    after_setup_task_logger.connect(use, weak=False)

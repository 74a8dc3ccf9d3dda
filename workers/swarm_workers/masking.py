"""A worker's log holds no secrets: Celery logs its broker's URL, and what a server answers."""

from __future__ import annotations

import logging
import sys
import traceback
from types import TracebackType
from typing import Any

from celery.signals import after_setup_logger, after_setup_task_logger

from swarm.settings import Settings
from swarm.store.redact import redact


class SecretFilter(logging.Filter):
    """Takes secrets out of messages and of tracebacks."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record; none is left out."""
        try:
            message = record.getMessage()
        except (TypeError, ValueError):
            message = str(record.msg)
        record.msg, record.args = self.mask(message), None
        if record.exc_info and record.exc_info[0] is not None:
            # What is formatted here is what every handler writes.
            record.exc_text = self.mask("".join(traceback.format_exception(*record.exc_info)).rstrip())
            record.exc_info = None
        return True

    def mask(self, text: str) -> str:
        return redact(text, self._url)


def mask_logs(settings: Settings) -> SecretFilter:
    """Have everything that this worker and its processes log pass through a filter."""
    secrets = SecretFilter(settings.redis_url or "")

    def add(logger: logging.Logger, **_: Any) -> None:
        for handler in logger.handlers:
            handler.addFilter(secrets)

    def show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        sys.stderr.write(secrets.mask("".join(traceback.format_exception(kind, error, trace))))

    # Strong references: nobody else holds these.
    after_setup_logger.connect(add, weak=False)
    after_setup_task_logger.connect(add, weak=False)
    sys.excepthook = show
    return secrets

"""Logs of the processes that run in the background: on stderr, which is their log file."""

from __future__ import annotations

import logging

from swarm_cli.redact import redact


class _Redacting(logging.Formatter):
    """The second line of defence against a password in a message that another library worded."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


def log_to_stderr(chatty: str) -> None:
    """Warnings of all, and what the package `chatty` says."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Redacting("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger(chatty).setLevel(logging.INFO)

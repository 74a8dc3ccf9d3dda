"""Logs as text or as JSON, a record a line, without secrets, and without content unless it is asked for.

Content is what tasks, outcomes and handlers say. A log call hands it over apart, as `extra={"content": ...}`. Messages
of errors may hold some: of an error that comes along as `exc_info` the type and the places are written, and its message
only if it is one of ours that says nothing of what was passed.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from swarm.errors import InputError, JobFailedError, RecordError, SwarmError, TaskFailedError
from swarm.settings import Settings
from swarm.store.redact import redact
from swarm.telemetry.about import FIELDS, said_now
from swarm.telemetry.spans import traceparent

_TYPE = re.compile(r"[A-Za-z_][\w.]*")
_MAY_HOLD_CONTENT = (InputError, RecordError, TaskFailedError, JobFailedError)
"""Errors of ours that show a value that was passed, or what somebody else said."""


def told(error: BaseException) -> str:
    """An error for a log: its type, and its message where that holds no content.

    >>> told(ValueError("the text of a task")), told(SwarmError("the lease was lost"))
    ('ValueError', 'SwarmError: the lease was lost')
    """
    name = type(error).__name__
    return f"{name}: {error}" if _is_free_of_content(error) else name


class SwarmFormatter(logging.Formatter):
    """Formats for one swarm's settings: text for people, or JSON for machines."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._is_json = settings.log == "json"
        self._has_content = settings.log_content
        self._url = settings.redis_url or ""

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line, of text perhaps with the places of an error below it."""
        values = self._values(record)
        if self._is_json:
            # Before JSON, which would write some signs of a secret differently.
            return json.dumps(self._redacted(values))
        # Half a surrogate pair, which no stream takes, must not cost the line.
        return redact(_text(values), self._url).encode(errors="replace").decode()

    def _values(self, record: logging.LogRecord) -> dict[str, Any]:
        values: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "process": record.process,
            "message": self._message(record),
        }
        # A call can say it itself; else the block says it that the call is in.
        values |= {name: str(value) for name in FIELDS if (value := getattr(record, name, "") or said_now().get(name))}
        if where := traceparent():
            _, values["trace_id"], values["span_id"], _ = where.split("-")
        if record.exc_info and record.exc_info[1] is not None:
            is_whole = self._has_content or getattr(record, "is_whole", False)
            values["error"] = list(_error(record.exc_info[1], is_whole))
        if self._has_content and (content := getattr(record, "content", "")):
            values["content"] = str(content)
        return values

    def _message(self, record: logging.LogRecord) -> str:
        arguments = record.args
        if isinstance(arguments, Mapping) and "exc" in arguments and not self._has_content:
            # Celery words a failed task with the whole error.
            found = _TYPE.match(str(arguments["exc"]))
            arguments = {**arguments, "exc": found[0] if found else "error", "traceback": ""}
        try:
            return str(record.msg) % arguments if arguments else str(record.msg)
        except (TypeError, ValueError, KeyError):
            return str(record.msg)

    def _redacted(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: self._redacted(one) for name, one in value.items()}
        if isinstance(value, list):
            return [self._redacted(one) for one in value]
        return redact(value, self._url) if isinstance(value, str) else value


def log_to_stderr(settings: Settings, chatty: str = "") -> SwarmFormatter:
    """Have this process log as the settings say: warnings of all, and what the package `chatty` says."""
    formatter = SwarmFormatter(settings)
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.captureWarnings(True)
    if chatty:
        logging.getLogger(chatty).setLevel(logging.INFO)
    log_uncaught(formatter)
    return formatter


def log_uncaught(formatter: SwarmFormatter) -> None:
    """Write an error that ends this process as a record, too."""

    def show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        record = logging.LogRecord("swarm", logging.CRITICAL, "", 0, "this process ends", None, (kind, error, trace))
        # Nobody else will say why; it ends while it starts, before it has read anything, or by an error in the code.
        record.is_whole = True
        sys.stderr.write(formatter.format(record) + "\n")

    sys.excepthook = show


def _error(error: BaseException, is_whole: bool) -> Iterator[str]:
    """Where an error was raised, and last what it is; before that the same of what it came from."""
    earlier = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if earlier is not None:
        yield from _error(earlier, is_whole)
    for frame in traceback.extract_tb(error.__traceback__):
        yield f"  {frame.filename}:{frame.lineno} in {frame.name}"
    yield f"{type(error).__name__}: {error}" if is_whole else told(error)


def _text(values: Mapping[str, Any]) -> str:
    about = " ".join(f"{name}={values[name]}" for name in (*FIELDS, "trace_id") if name in values)
    first = f"{values['time']} {values['level']} {values['logger']}[{values['process']}] {values['message']}"
    more = [str(values["content"])] if "content" in values else []
    return "\n".join([f"{first} ({about})" if about else first, *more, *values.get("error", ())])


def _is_free_of_content(error: BaseException) -> bool:
    return isinstance(error, SwarmError) and not isinstance(error, _MAY_HOLD_CONTENT)

"""A line of a log says what it is about, and no content unless that is asked for."""

from __future__ import annotations

import json
import logging
import sys
import threading
from typing import Any, Literal

import pytest

from swarm.errors import InputError, StoreUnavailableError, TaskFailedError, TextError
from swarm.settings import Settings
from swarm.telemetry.about import about
from swarm.telemetry.logs import SwarmFormatter, log_uncaught, told


def formatter(form: Literal["text", "json"] = "json", *, content: bool = False) -> SwarmFormatter:
    return SwarmFormatter(Settings(log=form, log_content=content))


def record(message: str, *arguments: object, error: BaseException | None = None, **extra: str) -> logging.LogRecord:
    info = None if error is None else (type(error), error, error.__traceback__)
    logger = logging.getLogger("swarm.test")
    return logger.makeRecord("swarm.test", logging.WARNING, "f.py", 7, message, arguments, info, "f", extra)


def parsed(made: logging.LogRecord, *, content: bool = False) -> dict[str, Any]:
    line = formatter(content=content).format(made)
    assert "\n" not in line
    found = json.loads(line)
    assert isinstance(found, dict)
    return found


def raised(error: BaseException, cause: BaseException | None = None) -> BaseException:
    try:
        raise error from cause
    except BaseException as caught:
        return caught


def test_a_line_of_json_has_the_time_and_what_it_is_about() -> None:
    with about(agent="coder-1", task_id="coder:1"), about(trajectory_id="t-1"):
        line = parsed(record("two\nlines: %s", "x"))
    assert line.pop("time").endswith("+00:00")
    assert line.pop("process") > 0
    assert line == {
        "level": "WARNING",
        "logger": "swarm.test",
        "message": "two\nlines: x",
        "agent": "coder-1",
        "trajectory_id": "t-1",
        "task_id": "coder:1",
    }
    assert "agent" not in parsed(record("later"))


def test_a_call_can_say_what_its_line_is_about_where_no_block_does() -> None:
    lines: list[dict[str, Any]] = []
    with about(agent="of this thread"):
        thread = threading.Thread(target=lambda: lines.append(parsed(record("x", agent="given"))))
        thread.start()
        thread.join()
        lines.append(parsed(record("y", agent="given")))
    assert [line["agent"] for line in lines] == ["given", "given"]


@pytest.mark.parametrize("form", ["text", "json"])
def test_content_is_written_only_where_it_is_asked_for(form: Literal["text", "json"]) -> None:
    error = raised(RuntimeError("what the handler said"), ValueError("the text of the task"))
    made = record("task failed", error=error, content="more of the text")
    without, with_it = formatter(form).format(made), formatter(form, content=True).format(made)
    for said in ("what the handler said", "the text of the task", "more of the text"):
        assert said not in without
        assert said in with_it
    assert "RuntimeError" in without
    assert "ValueError" in without
    assert f"{__file__}:" in without


@pytest.mark.parametrize("form", ["text", "json"])
def test_what_no_stream_takes_does_not_cost_the_line(form: Literal["text", "json"]) -> None:
    line = formatter(form, content=True).format(record("half a pair: %s", "\ud800", content="\udfff"))
    assert b"half a pair" in line.encode()


def test_the_last_line_of_an_error_is_what_it_is() -> None:
    text = formatter("text").format(record("cannot go on", error=raised(StoreUnavailableError("Redis is away"))))
    assert text.splitlines()[-1] == "StoreUnavailableError: Redis is away"


def test_celery_words_a_failed_task_with_its_error_and_we_do_not() -> None:
    made = record("Task %(name)s failed: %(exc)s", {"name": "swarm.run", "exc": "ValueError('the text')"})
    assert parsed(made)["message"] == "Task swarm.run failed: ValueError"
    assert parsed(made, content=True)["message"] == "Task swarm.run failed: ValueError('the text')"


def test_an_error_is_told_by_its_message_only_if_that_is_ours_and_shows_no_value() -> None:
    assert told(StoreUnavailableError("Redis is away")) == "StoreUnavailableError: Redis is away"
    for error in (InputError("k must be 1, got 'text'"), TextError("x"), TaskFailedError("why"), ValueError("text")):
        assert told(error) == type(error).__name__


def test_what_ends_a_process_is_a_line_too(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    log_uncaught(formatter())
    error = raised(ImportError("no module named 'x'"))
    sys.excepthook(type(error), error, error.__traceback__)
    line = json.loads(capsys.readouterr().err)
    assert line["level"] == "CRITICAL"
    assert line["error"][-1] == "ImportError: no module named 'x'"

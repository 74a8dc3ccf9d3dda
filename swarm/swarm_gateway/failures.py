"""What went wrong, as an HTTP answer: every error of this project has a status, and one shape of body."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.routing import Match

from swarm.errors import (
    AccessError,
    CapacityError,
    DeadlineError,
    EmbedderUnavailableError,
    ForbiddenError,
    InputError,
    JobFailedError,
    NoRouteError,
    QueueFullError,
    RateLimitError,
    StaleWriterError,
    StoreUnavailableError,
    SwarmError,
    TaskFailedError,
    TokenError,
    UnknownIdError,
    WaitTimeoutError,
    shown,
)
from swarm.telemetry.logs import told

logger = logging.getLogger(__name__)
_STATUS: tuple[tuple[type[SwarmError], int], ...] = (
    # The first that fits: the special before the general.
    (UnknownIdError, 404),
    (DeadlineError, 409),
    (InputError, 422),
    (QueueFullError, 429),
    (RateLimitError, 429),
    (CapacityError, 409),
    (NoRouteError, 409),
    (StaleWriterError, 409),
    (TaskFailedError, 409),
    (JobFailedError, 409),
    (TokenError, 401),
    (ForbiddenError, 403),
    (AccessError, 403),
    (WaitTimeoutError, 504),
    (StoreUnavailableError, 503),
    (EmbedderUnavailableError, 503),
)
_AWAY_S = 1.0
"""When to try again after Redis was away."""


class Failure(BaseModel):
    """What went wrong. `retry_after_s` is seconds until it may go well, null if waiting does not help."""

    type: str
    message: str
    retry_after_s: float | None = None


class FailureBody(BaseModel):
    """The body of every answer that is no success."""

    error: Failure


def status_of(error: SwarmError) -> int:
    """The HTTP status of an error; 500 for what only a fault of ours, or damage, can cause."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def answer(error: SwarmError) -> JSONResponse:
    """An error as an answer."""
    status = status_of(error)
    wait = getattr(error, "retry_after_s", _AWAY_S if status == 503 else None)
    return failure(status, type(error).__name__, str(error), wait)


def failure(status: int, kind: str, message: str, retry_after_s: float | None = None) -> JSONResponse:
    """An answer of the one shape."""
    headers = {}
    if retry_after_s is not None:
        headers["Retry-After"] = str(math.ceil(retry_after_s))
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    # A name of an agent in a message may hold half a surrogate pair, which no UTF-8 has.
    text = message.encode("utf-8", "replace").decode()
    body = FailureBody(error=Failure(type=kind, message=text, retry_after_s=retry_after_s))
    return JSONResponse(body.model_dump(), status_code=status, headers=headers)


def install(app: FastAPI) -> None:
    """Make every failure of `app` an answer of that shape."""
    app.add_exception_handler(SwarmError, _on_swarm_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(Exception, _on_fault)


async def _on_swarm_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, SwarmError)
    if status_of(error) == 500:
        logger.error("a request failed: %s", told(error), extra={"content": str(error)})
    return answer(error)


async def _on_invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return failure(422, "InputError", "; ".join(_lines(error.errors())))


async def _on_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    made = failure(error.status_code, "HttpError", str(error.detail))
    made.headers.update(error.headers or {})
    if error.status_code == 405:
        made.headers["Allow"] = ", ".join(_allowed(request))
    return made


async def _on_fault(request: Request, error: Exception) -> JSONResponse:
    # Its words may hold anything, so they stay in the log.
    logger.error("%s %s: %s", request.method, request.url.path, type(error).__name__, exc_info=error)
    return failure(500, "InternalError", "a fault of the gateway; its log has more")


def _allowed(request: Request) -> list[str]:
    """The methods of a path, of all its routes: Starlette says those of the first."""
    routes = (route for route in request.app.state.routes if route.matches(request.scope)[0] is not Match.NONE)
    return sorted({method for route in routes for method in getattr(route, "methods", None) or ()})


def _lines(errors: Sequence[Any]) -> list[str]:
    """`body.k: Input should be at least 1, got 0`, for each fault."""
    lines = []
    for one in errors[:10]:
        where = ".".join(str(part) for part in one.get("loc", ())) or "body"
        got = f", got {shown(one['input'], 60)}" if "input" in one and not isinstance(one["input"], dict) else ""
        lines.append(f"{where}: {one.get('msg', 'is wrong')}{got}")
    return lines

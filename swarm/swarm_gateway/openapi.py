"""The OpenAPI document, where what FastAPI makes of the types is not the whole truth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute


def operation_id(route: APIRoute) -> str:
    """A name for generated clients: `agents_rollback`.

    The tags of routes are the things that they are about.
    """
    return f"{route.tags[0]}_{route.name}" if route.tags else route.name


def links(**operations: Mapping[str, str]) -> dict[str, Any]:
    """What can be done with an answer, for `responses`: operation -> its parameters, from `$request` or `$response`.

    Names that begin with "body." are of the body.
    """
    made = {}
    for operation, given in operations.items():
        parameters = {name: value for name, value in given.items() if not name.startswith("body.")}
        body = {name.removeprefix("body."): value for name, value in given.items() if name.startswith("body.")}
        made[operation] = {
            "operationId": operation,
            "parameters": parameters,
            **({"requestBody": body} if body else {}),
        }
    return {"links": made}


def describe(app: FastAPI, *, needs_token: bool) -> None:
    """Have `/openapi.json` say that a token is optional where it is, and that events are objects."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = made()
            for operation in _operations(document):
                if not needs_token and "security" in operation:
                    operation["security"].append({})
                for answer in operation["responses"].values():
                    # FastAPI takes every stream for text.
                    answer.get("content", {}).get("text/event-stream", {}).get("schema", {}).pop("type", None)
        return app.openapi_schema or made()

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to extend the document


def _operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for path in document["paths"].values() for operation in path.values()]

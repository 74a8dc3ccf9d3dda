"""The OpenAPI document is right: schemathesis asks everything that it allows, and much that it does not.

A longer run by hand: `schemathesis run URL/openapi.json --exclude-path /v1/events`, with `[phases.stateful.inference]`
`algorithms = []` in its configuration: what can be done with an answer is in the document, as links.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import schemathesis
from rest_support import RunningGateway, consolidating, served
from schemathesis.engine import events, from_schema
from swarm_support import make_swarm

from swarm.services.access import AccessControl
from swarm.store.connection import connect

SECONDS = 8
EVENTS = "/v1/events"
"""The one that never ends; it has tests of its own."""


def findings(gateway: RunningGateway, headers: dict[str, str]) -> tuple[list[str], int]:
    """What is wrong, in words, and how many scenarios were tried."""
    project: dict[str, Any] = {
        "max-time": SECONDS,
        "continue-on-failure": True,
        "request-timeout": 70,
        "headers": headers,
        "generation": {"max-examples": 10, "database": "none"},
        "phases": {"stateful": {"inference": {"algorithms": []}}},
    }
    config = schemathesis.Config.from_dict(project)
    schema = schemathesis.openapi.from_url(f"{gateway.url}/openapi.json", config=config).exclude(path=EVENTS)
    wrong, tried = [], 0
    for event in from_schema(schema).execute():
        tried += isinstance(event, events.ScenarioFinished | events.FuzzScenarioFinished)
        if isinstance(event, events.FatalError | events.NonFatalError):
            wrong.append(str(event))
        if isinstance(event, events.EngineFinished):
            wrong += [f"{failure.operation}: {failure.title}: {failure.message}" for failure in event.failures]
    return wrong, tried


@pytest.mark.parametrize("with_token", [False, True], ids=["on loopback", "with a token"])
def test_schemathesis_finds_nothing(
    redis_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, with_token: bool
) -> None:
    # It writes its notes where it runs.
    monkeypatch.chdir(tmp_path)
    variables = {"HTTP_REQUIRE_TOKEN": str(int(with_token)), "RATE_READS": "100000", "RATE_WRITES": "100000"}
    with served(redis_server, variables) as gateway, connect(gateway.settings) as client:
        make_swarm(gateway.settings, client).register("coder-1", "coder")
        token, _ = AccessControl(gateway.settings, client).create("operator")
        headers = {"Authorization": f"Bearer {token}"} if with_token else {}
        # Who waits for the end of something is to see it.
        with consolidating(gateway.settings):
            wrong, tried = findings(gateway, headers)
        assert wrong == []
        assert tried > 10
        assert "Traceback" not in gateway.log()


def test_the_document_says_where_a_token_is_needed(redis_server: str) -> None:
    for is_required in (False, True):
        with served(redis_server, {"HTTP_REQUIRE_TOKEN": str(int(is_required))}) as gateway:
            document = gateway.get("/openapi.json")
            needed = document["paths"]["/v1/status"]["get"]["security"]
            assert needed == [{"HTTPBearer": []}] if is_required else [{"HTTPBearer": []}, {}]
            ids = [one["operationId"] for path in document["paths"].values() for one in path.values()]
            assert len(set(ids)) == len(ids)
            stream = document["paths"][EVENTS]["get"]["responses"]["200"]["content"]["text/event-stream"]["schema"]
            assert len(stream["anyOf"]) == 11

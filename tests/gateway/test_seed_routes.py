"""The published back end's routes: a session is asked, judged, and learned from."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from rest_support import RunningGateway, consolidate_all, served
from support import wait_until
from swarm_support import DIM

from swarm.services.access import AccessControl
from swarm.store.connection import connect
from swarm.store.workers import WorkerBeat, WorkerRegistry
from swarm.wire.keys import SwarmKeys


@pytest.fixture(scope="module")
def gateway(redis_server: str) -> Iterator[RunningGateway]:
    with served(redis_server) as made:
        yield made


def ask(gateway: RunningGateway, session: str, query: str = "How do I reset my password?") -> dict[str, Any]:
    found: dict[str, Any] = gateway.post("/api/query", {"query": query, "sessionId": session})
    return found


def test_a_session_is_asked_and_judged(gateway: RunningGateway) -> None:
    found = ask(gateway, "abc123")
    assert found.keys() == {"sessionId", "optimizedEmbedding", "similarPatterns"}
    embedding = found["optimizedEmbedding"]
    assert isinstance(embedding, list)
    assert len(embedding) == DIM
    judged = gateway.post("/api/feedback", {"sessionId": "abc123", "wasHelpful": True})
    assert (judged["success"], judged["quality"], judged["learned"]) == (True, 0.9, True)
    assert judged["latencyMs"] > 0.0


@pytest.mark.parametrize(
    ("told", "quality"),
    [
        ({"wasHelpful": True}, 0.9),
        ({"wasHelpful": False}, 0.2),
        ({"quality": 0.0}, 0.0),
        ({"quality": 0.7, "wasHelpful": False}, 0.7),
    ],
)
def test_thumbs_and_qualities_are_told_apart(gateway: RunningGateway, told: dict[str, object], quality: float) -> None:
    ask(gateway, f"s-{told}")
    assert gateway.post("/api/feedback", {"sessionId": f"s-{told}", **told})["quality"] == quality


def test_a_session_that_is_unknown_or_judged_already_is_not_found(gateway: RunningGateway) -> None:
    gateway.post("/api/feedback", {"sessionId": "nobody", "wasHelpful": True}, 404)
    ask(gateway, "once")
    gateway.post("/api/feedback", {"sessionId": "once", "wasHelpful": True})
    error = gateway.post("/api/feedback", {"sessionId": "once", "wasHelpful": True}, 404)["error"]
    assert "session 'once' is unknown, or has had its feedback" in error["message"]


def test_feedback_says_how_it_was(gateway: RunningGateway) -> None:
    ask(gateway, "silent")
    error = gateway.post("/api/feedback", {"sessionId": "silent"}, 422)["error"]
    assert "quality or wasHelpful" in error["message"]


def test_a_session_may_ask_again_and_again_and_each_answer_is_judged(gateway: RunningGateway) -> None:
    receipts = set()
    for _ in range(3):
        ask(gateway, "chat")
        receipts.add(gateway.post("/api/feedback", {"sessionId": "chat", "wasHelpful": True})["receipt"])
    assert len(receipts) == 3


def test_what_was_learned_comes_back_as_similar_patterns(gateway: RunningGateway) -> None:
    gateway.post("/v1/patterns", {"task": "change my avatar", "output": "open the profile page"}, 201)
    consolidate_all(gateway.settings)
    # Hooks look at what changed four times a second.
    [similar, *_] = wait_until(lambda: ask(gateway, "avatar", "change my avatar")["similarPatterns"], 30.0, "a pattern")
    assert similar["response"] == "open the profile page"
    assert (similar["avgQuality"], similar["clusterSize"]) == (1.0, 1)
    assert similar["patternType"] in ("General", "Reasoning", "Factual", "Creative", "CodeGen", "Conversational")


def test_the_stats_count_what_is_stored(gateway: RunningGateway) -> None:
    before = gateway.get("/api/stats")
    ask(gateway, "counted")
    assert gateway.get("/api/stats")["trajectories_open"] == before["trajectories_open"] + 1
    gateway.post("/api/feedback", {"sessionId": "counted", "wasHelpful": True})
    after = gateway.get("/api/stats")
    assert after["trajectories_recorded"] == before["trajectories_recorded"] + 1
    assert (after["trajectories_buffered"] > 0, after["background_enabled"]) == (True, False)
    with connect(gateway.settings) as client:
        registry = WorkerRegistry(client, SwarmKeys(gateway.settings.name))
        registry.beat(a_beat(time.time()))
        assert gateway.get("/api/stats")["background_enabled"] is True
        registry.forget("w@here")


def a_beat(at_s: float) -> WorkerBeat:
    return WorkerBeat(
        name="w@here",
        pool="w",
        host="here",
        pid=1,
        concurrency=1,
        active=0,
        reserved=0,
        done=0,
        consuming=True,
        started_s=at_s,
        beat_s=at_s,
        reconnects=0,
        outages=0,
        fault="",
    )


def test_a_session_survives_a_gateway_that_is_killed(redis_server: str) -> None:
    with served(redis_server) as gateway:
        ask(gateway, "long")
        gateway.kill()
        gateway.restart()
        assert gateway.post("/api/feedback", {"sessionId": "long", "wasHelpful": False})["learned"] is True


def test_the_sessions_of_an_agents_token_are_that_agents(redis_server: str) -> None:
    with served(redis_server, {"HTTP_REQUIRE_TOKEN": "1"}) as gateway, connect(gateway.settings) as client:
        control = AccessControl(gateway.settings, client)
        headers = {
            name: {"Authorization": f"Bearer {control.create(role, name if role == 'agent' else '')[0]}"}
            for name, role in (("ada", "agent"), ("bob", "agent"), ("reader", "reader"))
        }
        body = {"query": "a question", "sessionId": "same"}
        gateway.post("/api/query", body, headers=headers["ada"])
        gateway.post("/api/feedback", {"sessionId": "same", "wasHelpful": True}, 404, headers=headers["bob"])
        gateway.post("/api/query", body, 403, headers=headers["reader"])
        judged = gateway.post("/api/feedback", {"sessionId": "same", "wasHelpful": True}, headers=headers["ada"])
        assert judged["receipt"].startswith("outcome/ada/")

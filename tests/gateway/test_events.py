"""Events of the live state: a snapshot, then what changes, for many who listen, and to an end."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import takewhile
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from rest_support import RunningGateway, consolidate_all, served
from support import PrivateRedis, wait_until
from swarm_support import make_swarm

from swarm.errors import QueueFullError
from swarm.services.access import AccessControl
from swarm.settings import Settings
from swarm.store.connection import Client, connect
from swarm.wire.keys import SwarmKeys
from swarm_gateway import live
from swarm_gateway.live import LiveFeed


@pytest.fixture(scope="module")
def gateway(redis_server: str) -> Iterator[RunningGateway]:
    with served(redis_server) as made:
        yield made


class Events:
    """What one listener has heard so far."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.heard: list[dict[str, Any]] = []
        self.has_ended = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        event: dict[str, Any] = {}
        try:
            for line in self.response.iter_lines():
                name, _, value = line.partition(": ")
                if name in ("id", "event"):
                    event[name] = value
                elif name == "data":
                    event["data"] = json.loads(value)
                elif not line and event:
                    self.heard.append(event)
                    event = {}
        except httpx.HTTPError:
            pass
        self.has_ended.set()

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event["data"] for event in self.heard if event["event"] == kind]

    def wait(self, kind: str) -> dict[str, Any]:
        found: dict[str, Any] = wait_until(lambda: self.of(kind), 30.0, f"an event {kind}")[-1]
        return found


@contextmanager
def listening(gateway: RunningGateway, **headers: str) -> Iterator[Events]:
    with gateway.http.stream("GET", "/v1/events", headers=headers) as response:
        assert response.status_code == 200, response.read()
        assert response.headers["content-type"].startswith("text/event-stream")
        yield Events(response)


def outcome(gateway: RunningGateway, agent: str, number: int = 0) -> dict[str, Any]:
    body = {"agent": agent, "text": f"task {number}", "success": True, "output": f"do {number}"}
    found: dict[str, Any] = gateway.post("/v1/outcomes", body, 201)
    return found


def position(stream_id: str) -> tuple[int, int]:
    first, _, second = stream_id.partition("-")
    return int(first), int(second)


def test_who_listens_gets_a_snapshot_and_then_what_changes(gateway: RunningGateway) -> None:
    gateway.post("/v1/agents", {"name": "ada"}, 201)
    with listening(gateway) as events:
        snapshot = events.wait("snapshot")
        assert snapshot["status"]["name"] == gateway.settings.name
        receipt = outcome(gateway, "ada")
        assert events.wait("agent")["agent"]["accepted"] == 1
        consolidate_all(gateway.settings)
        merged = events.wait("searchable")["merged"]
        assert merged["agent"] == "ada"
        assert position(receipt["stream_id"]) <= position(merged["stream_id"])
        assert events.wait("merge")["merge"]["put"] == 1
        assert events.wait("counts")["patterns"] >= 1
        gateway.post("/v1/tasks", {"text": "x", "role": "coder"}, 201)
        assert events.wait("tasks")["tasks"]["waiting"] == 1
        gateway.delete("/v1/agents/ada")
        assert events.wait("agent_gone")["name"] == "ada"
        ids = [event["id"] for event in events.heard]
        assert len(set(ids)) == len(ids)
        assert events.of("snapshot") == [snapshot]


def test_who_comes_back_gets_what_was_missed_and_no_snapshot(gateway: RunningGateway) -> None:
    with listening(gateway) as first, listening(gateway) as second:
        outcome(gateway, "bob", 1)
        first.wait("agent")
        second.wait("agent")
        last = second.heard[-1]["id"]
        second.response.close()
        outcome(gateway, "bob", 2)
        wait_until(lambda: first.of("agent")[-1]["agent"]["accepted"] == 2, 30.0, "the second outcome")
        with listening(gateway, **{"Last-Event-ID": last}) as again:
            assert again.wait("agent")["agent"]["accepted"] == 2
            assert again.of("snapshot") == []
    with listening(gateway, **{"Last-Event-ID": "of another process.7"}) as stranger:
        stranger.wait("snapshot")


def test_what_happened_is_read_page_by_page(gateway: RunningGateway) -> None:
    with make_swarm(gateway.settings).client as client:
        client.delete(SwarmKeys(gateway.settings.name).events)
    gateway.post("/v1/agents", {"name": "eve"}, 201)
    first = gateway.get("/v1/events/stored")
    [created] = first["events"]
    assert (created["type"], created["body"]["agent"]) == ("agent:created", "eve")
    assert first["position"] == created["id"]
    assert gateway.get("/v1/events/stored", params={"after": first["position"]})["events"] == []
    task = gateway.post("/v1/tasks", {"text": "x", "role": "coder"}, 201)["id"]
    gateway.post(f"/v1/tasks/{task}/cancel", {}, 200)
    for chosen, found in (["task:done", "task:cancelled"], [task]), (["task:dead"], []):
        page = gateway.get("/v1/events/stored", params={"after": created["id"], "type": chosen})
        assert [event["body"]["task"] for event in page["events"]] == found
    for wrong in ({"after": "yesterday"}, {"type": "task:eaten"}):
        gateway.get("/v1/events/stored", 422, params=wrong)


def test_the_stream_ends_when_the_process_is_told_to_end(redis_server: str) -> None:
    with served(redis_server) as gateway, listening(gateway) as events:
        events.wait("snapshot")
        assert gateway.end(signal.SIGTERM) == 0
        assert events.has_ended.wait(30.0)


def test_a_receipt_that_is_waited_for_is_answered_when_the_process_is_told_to_end(redis_server: str) -> None:
    with served(redis_server) as gateway:
        receipt = outcome(gateway, "ada")
        found: list[dict[str, Any]] = []
        path = f"/v1/receipts/{receipt['id']}"
        waiting = threading.Thread(target=lambda: found.append(gateway.get(path, params={"wait": 60})))
        waiting.start()
        # It has begun to wait when its request has been read; nothing else tells from outside.
        time.sleep(0.3)
        assert gateway.end(signal.SIGTERM) == 0
        waiting.join(30.0)
        assert [one["state"] for one in found] == ["accepted"]


def test_a_token_that_is_revoked_hears_no_more(redis_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(redis_server, {"HTTP_REQUIRE_TOKEN": "1"}) as gateway, connect(gateway.settings) as client:
        control = AccessControl(gateway.settings, client)
        token, record = control.create("reader")
        gateway.get("/v1/events", 401)
        with listening(gateway, Authorization=f"Bearer {token}") as events:
            events.wait("snapshot")
            control.revoke(record.id)
            assert wait_until(lambda: events.of("end"), 40.0, "the end")[0]["why"]
            assert events.has_ended.wait(30.0)


def test_with_redis_away_it_is_said_once_and_a_snapshot_comes_afterwards(own_redis: PrivateRedis) -> None:
    with served(own_redis.url) as gateway, listening(gateway) as events:
        events.wait("snapshot")
        own_redis.kill()
        events.wait("away")
        own_redis.start()
        wait_until(lambda: len(events.of("snapshot")) == 2, 20.0, "the second snapshot")
        assert len(events.of("away")) == 1


def test_a_listener_that_leaves_in_the_middle_does_no_harm(gateway: RunningGateway) -> None:
    host, port = urlsplit(gateway.url).hostname, urlsplit(gateway.url).port
    with socket.create_connection((host, port)) as silent:
        silent.sendall(b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        silent.recv(100)
    assert gateway.get("/health/live") == {"status": "ok"}


@pytest.fixture
def feed(settings: Settings, client: Client) -> LiveFeed:
    return LiveFeed(make_swarm(settings, client), read_s=0.02)


def test_too_many_who_listen_are_told_when_to_come_again(feed: LiveFeed, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        monkeypatch.setattr(live, "MAX_LISTENERS", 2)
        first, _ = await feed.join(), await feed.join()
        with pytest.raises(QueueFullError):
            await feed.join()
        feed.leave(first)
        await feed.join()
        assert len(feed) == 2

    asyncio.run(run())


def test_one_token_has_a_bound_of_its_own_and_leaves_places_to_others(feed: LiveFeed) -> None:
    async def run() -> None:
        mine = [await feed.join(who="mine") for _ in range(live.MAX_OF_ONE)]
        with pytest.raises(QueueFullError, match="8 listen to events here by this token"):
            await feed.join(who="mine")
        await feed.join(who="other")
        feed.leave(mine[0])
        await feed.join(who="mine")
        # Whoever shows no token is on this machine, and may have several people at it.
        for _ in range(live.MAX_OF_ONE + 1):
            await feed.join()

    asyncio.run(run())


def test_a_token_that_listens_too_often_is_told_when_to_come_again(redis_server: str) -> None:
    with served(redis_server, {"HTTP_REQUIRE_TOKEN": "1"}) as gateway, connect(gateway.settings) as client:
        token, _ = AccessControl(gateway.settings, client).create("reader")
        header = {"Authorization": f"Bearer {token}"}
        with ExitStack() as streams:
            for _ in range(live.MAX_OF_ONE):
                streams.enter_context(listening(gateway, **header))
            refused = gateway.http.get("/v1/events", headers=header)
            assert (refused.status_code, refused.json()["error"]["type"]) == (429, "QueueFullError")


def test_who_is_too_slow_is_let_go_and_the_others_go_on(feed: LiveFeed, settings: Settings, client: Client) -> None:
    swarm = make_swarm(settings, client)

    async def run() -> None:
        slow, quick = await feed.join(), await feed.join()
        for number in range(live.MAX_BEHIND + 10):
            if number % 50 == 0:
                # Nothing changes by itself: each of these is an agent that is new.
                await asyncio.to_thread(swarm.register, f"agent-{number}", "coder")
            while not quick.waiting.empty():
                quick.waiting.get_nowait()
            feed._tell([feed._state])  # type: ignore[list-item]  # as often as there are events
        assert slow.scope.cancel_called
        assert not quick.scope.cancel_called
        assert (len(feed), feed.let_go) == (1, 1)

    asyncio.run(run())


def test_nothing_is_read_while_nobody_listens(feed: LiveFeed, settings: Settings, client: Client) -> None:
    async def run() -> None:
        listener = await feed.join()
        feed.leave(listener)
        # The server is that of other tests, too: what counts is who asks for keys of this swarm.
        with client.monitor() as monitor:  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
            await asyncio.sleep(0.2)
            client.echo("the end")
            seen = list(takewhile(lambda one: "the end" not in one["command"], monitor.listen()))
        assert not [one["command"] for one in seen if one["command"].startswith(f"HGETALL {{{settings.name}}}")]

    asyncio.run(run())

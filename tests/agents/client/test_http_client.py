"""What only a client over HTTP meets: a gateway that is away, busy, or not what it should be."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterator
from dataclasses import asdict

import pytest
from client_support import scripted_server
from gateway_process import running_gateway

from swarm.errors import (
    DamagedRecordError,
    ForbiddenError,
    GatewayUnavailableError,
    InputError,
    QueueFullError,
    RateLimitError,
    RuntimeSetupError,
    StoreUnavailableError,
    SwarmError,
    TokenError,
    UnknownIdError,
)
from swarm.services.access import AccessControl
from swarm.services.background import Background
from swarm.services.hits import PatternHit
from swarm.services.receipts import Receipt, ReceiptState
from swarm.services.status import SwarmStatus
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.wire.records import decode_trajectory
from swarm.wire.token_records import Role
from swarm_agents.client import connect, connect_async
from swarm_agents.client.answers import failure_of
from swarm_agents.client.attempts import Patience
from swarm_agents.client.http import AsyncHttpClient, HttpClient
from swarm_agents.client.local import AsyncLocalClient, LocalClient
from swarm_agents.client.rebuild import rebuild

PATIENCE = Patience(hook_timeout=20.0, timeout=20.0)
RECEIPT = {"agent": "ada", "idempotency_key": "one", "state": "accepted", "is_new": True}
ADVICE: dict[str, object] = {
    "trajectory_id": "t",
    "task_type": "General",
    "patterns": [],
    "route": None,
    "is_fresh": True,
}
AWAY = (503, {"error": {"type": "StoreUnavailableError", "message": "Redis is away", "retry_after_s": 1.0}})
BUSY = (429, {"error": {"type": "QueueFullError", "message": "full", "retry_after_s": 0.01}})


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture
def impatient(free_port: int) -> Iterator[HttpClient]:
    """A client of a gateway that is not there (yet), which looks for it at every hook."""
    patience = Patience(hook_timeout=20.0, timeout=20.0, retries=1)
    with HttpClient(f"http://127.0.0.1:{free_port}", "ada", role="coder", patience=patience) as client:
        client.breaker.pause_s = client.breaker.longest_s = 0.0
        yield client


def test_a_task_begun_without_the_gateway_is_reported_whole_when_it_is_there(
    impatient: HttpClient, free_port: int, settings: Settings, swarm: Swarm
) -> None:
    advice = impatient.before_task("decode a JSON document")
    assert (advice.patterns, advice.route, advice.is_fresh) == ((), None, False)
    impatient.step(advice.trajectory_id, 0.5, node="grep")
    with pytest.raises(GatewayUnavailableError, match="does not answer") as failed:
        impatient.after_task(advice.trajectory_id, success=True, output="json")
    assert failed.value.was_sent is False
    with running_gateway(settings, SWARM_HTTP_PORT=str(free_port)):
        impatient.step(advice.trajectory_id, 1.0, node="sed")
        receipt = impatient.after_task(advice.trajectory_id, success=True, output="json")
        assert receipt.state is ReceiptState.ACCEPTED
    [(_, record)] = swarm.outcomes("ada").read_after("0-0", 10)
    outcome = decode_trajectory(record)
    assert (outcome.id, outcome.text, outcome.response) == (advice.trajectory_id, "decode a JSON document", "json")
    assert [step.node for step in outcome.steps] == ["grep", "sed"]


def test_a_step_made_while_the_gateway_is_away_is_sent_before_the_end(
    impatient: HttpClient, free_port: int, settings: Settings, swarm: Swarm
) -> None:
    with running_gateway(settings, SWARM_HTTP_PORT=str(free_port)):
        name = impatient.before_task("decode a JSON document").trajectory_id
    impatient.step(name, 0.25, node="grep")
    with running_gateway(settings, SWARM_HTTP_PORT=str(free_port)):
        impatient.after_task(name, success=True)
    [(_, record)] = swarm.outcomes("ada").read_after("0-0", 10)
    assert [step.reward for step in decode_trajectory(record).steps] == [0.25]
    assert impatient.lost_steps == 0


def test_a_task_of_which_the_gateway_never_heard_is_abandoned_in_silence(impatient: HttpClient) -> None:
    impatient.abandon(impatient.before_task("x").trajectory_id)
    assert impatient.breaker.failures == 1


def test_a_gateway_that_was_not_there_is_left_alone_for_a_while() -> None:
    with scripted_server(None) as server, HttpClient(server.url, "ada", patience=PATIENCE) as client:
        client.breaker.pause_s = 1e6
        for _ in range(3):
            assert client.before_task("x").is_fresh is False
        assert server.asked == ["POST /v1/trajectories"]


def test_what_may_be_repeated_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    with scripted_server(None, AWAY, BUSY, (200, RECEIPT)) as server:
        with HttpClient(server.url, "ada", patience=PATIENCE) as client:
            assert client.store_pattern("x", "y").idempotency_key == "one"
        assert server.asked == ["POST /v1/patterns"] * 4


@pytest.mark.parametrize("answer", [None, AWAY])
def test_what_may_have_been_done_is_not_tried_again(answer: tuple[int, object] | None) -> None:
    with scripted_server(answer) as server, HttpClient(server.url, "ada", patience=PATIENCE) as client:
        with pytest.raises(StoreUnavailableError):
            client.route("x", routes=["small"])
        assert server.asked == ["POST /v1/route"]


def test_a_step_that_perhaps_arrived_is_counted_and_not_sent_again() -> None:
    with scripted_server((201, ADVICE), None, (200, RECEIPT)) as server:
        with HttpClient(server.url, "ada", patience=PATIENCE) as client:
            name = client.before_task("x").trajectory_id
            client.step(name, 1.0)
            assert client.lost_steps == 1
            client.after_task(name, success=True)
        assert [asked.rpartition("/")[2] for asked in server.asked] == ["trajectories", "steps", "end"]


def test_a_call_gives_up_when_the_wait_would_be_too_long() -> None:
    later = (429, {"error": {"type": "QueueFullError", "message": "full", "retry_after_s": 3600.0}})
    with scripted_server(later) as server, HttpClient(server.url, "ada", patience=PATIENCE) as client:
        with pytest.raises(QueueFullError, match="full") as refused:
            client.submit("x", role="coder")
        assert (refused.value.retry_after_s, len(server.asked)) == (3600.0, 1)


@pytest.mark.parametrize("body", [b"<html>", {"patterns": 1}, {"patterns": [{}]}, []])
def test_an_answer_that_is_none_of_ours_is_said_to_be_damaged(body: object) -> None:
    with (
        scripted_server((200, body)) as server,
        HttpClient(server.url, "ada", patience=PATIENCE) as client,
        pytest.raises(DamagedRecordError, match="the gateway's answer"),
    ):
        client.query("x")


@pytest.mark.parametrize(
    ("status", "told", "kind"),
    [
        (404, {"type": "UnknownIdError", "message": "no such"}, UnknownIdError),
        (403, {"type": "ForbiddenError", "message": "no"}, ForbiddenError),
        (429, {"type": "RateLimitError", "message": "slow", "retry_after_s": 1.5}, RateLimitError),
        (503, {"type": "Novel", "message": "away"}, StoreUnavailableError),
        (500, {"type": "InternalError", "message": "a fault"}, SwarmError),
        (409, {"type": "JobFailedError", "message": "job"}, SwarmError),
        (404, {"type": "annotations", "message": "not one of ours"}, SwarmError),
    ],
)
def test_an_error_of_the_gateway_is_the_same_error_here(status: int, told: object, kind: type[SwarmError]) -> None:
    assert type(failure_of(status, {"error": told})) is kind


def test_an_answer_of_a_proxy_is_no_answer_of_the_gateway() -> None:
    assert type(failure_of(502, None)) is GatewayUnavailableError
    assert type(failure_of(403, ["?"])) is SwarmError


def test_a_token_is_sent_and_shown_nowhere(settings: Settings, swarm: Swarm) -> None:
    token = AccessControl(settings, swarm.client).create(Role.AGENT, "ada")[0]
    with running_gateway(settings, SWARM_HTTP_REQUIRE_TOKEN="1") as gateway:
        with HttpClient(gateway.url, "ada", token=token, patience=PATIENCE) as client:
            assert client.before_task("x").is_fresh
            assert token not in repr(client) + repr(vars(client))
        with HttpClient(gateway.url, "bob", token=token, patience=PATIENCE) as bob, pytest.raises(ForbiddenError):
            bob.before_task("x")
        with HttpClient(gateway.url, "ada", patience=PATIENCE) as nobody, pytest.raises(TokenError, match="needed"):
            nobody.before_task("x")
        wrong = token[:-2] + "xx"
        with HttpClient(gateway.url, "ada", token=wrong, patience=PATIENCE) as other:
            with pytest.raises(TokenError) as refused:
                other.before_task("x")
            assert wrong not in str(refused.value)


def test_what_is_no_json_is_refused_before_it_is_sent() -> None:
    with scripted_server((200, {})) as server, HttpClient(server.url, "ada", patience=PATIENCE) as client:
        for payload in ({"a": b"x"}, {"a": float("nan")}, {"a": "\ud800"}):
            with pytest.raises(InputError, match="must be JSON"):
                client.submit(payload, role="coder")
        assert server.asked == []


def test_connect_tells_by_the_address_what_is_meant(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWARM_STATE_DIR", str(settings.state_dir))
    monkeypatch.setenv("SWARM_EMBEDDER", settings.embedder)
    monkeypatch.setenv("SWARM_NAME", settings.name)
    monkeypatch.setenv("SWARM_REDIS_URL", settings.broker_url)
    with connect(agent="ada") as local, connect(settings.broker_url, agent="ada", role="coder") as direct:
        assert isinstance(local, LocalClient)
        assert isinstance(direct, LocalClient)
        assert direct.agent.role == "coder"
    assert isinstance(connect_async(agent="ada"), AsyncLocalClient)
    monkeypatch.setenv("SWARM_GATEWAY_URL", "http://127.0.0.1:1")
    with connect(agent="ada") as remote:
        assert isinstance(remote, HttpClient)
        assert remote.url == "http://127.0.0.1:1"
    assert isinstance(connect_async(agent="ada"), AsyncHttpClient)


@pytest.mark.parametrize("target", ["ftp://user:secret@host", "", "http://", "https://user:secret@:x"])
def test_connect_says_what_an_address_must_be_and_shows_none(target: str) -> None:
    with pytest.raises(InputError) as refused:
        connect(target, agent="ada")
    assert "secret" not in str(refused.value)
    with pytest.raises(InputError, match="token is for a gateway"):
        connect("redis://127.0.0.1:1", agent="ada", token="t")


def test_without_httpx_connect_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("swarm_agents.client.http")
    monkeypatch.setitem(sys.modules, "swarm_agents.client.http", None)
    with pytest.raises(RuntimeSetupError, match=r"sona-swarm\[client\]"):
        connect("http://127.0.0.1:1", agent="ada")


def test_values_survive_their_way_through_json(swarm: Swarm, background: Background) -> None:
    swarm.store_pattern("compress a file", "use gzip")
    swarm.submit("x", role="coder")
    background.drain(0.0)
    [hit] = swarm.query("compress a file")
    assert rebuild(PatternHit, json.loads(json.dumps(hit.to_dict()))) == hit
    status = swarm.status()
    assert rebuild(SwarmStatus, json.loads(json.dumps(status.as_dict()))) == status
    receipt = Receipt(agent="ada", idempotency_key="x", state=ReceiptState.DEAD, reason="why")
    assert rebuild(Receipt, {**json.loads(json.dumps(receipt.as_dict())), "novel": 1}) == receipt
    with pytest.raises(DamagedRecordError, match="no Receipt"):
        rebuild(Receipt, {**asdict(receipt), "state": "novel"})

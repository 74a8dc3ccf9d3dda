"""The way in: who may come from where, with how much, and with what token."""

from __future__ import annotations

import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from rest_support import RunningGateway, served

from swarm.services.access import AccessControl
from swarm.store.connection import connect
from swarm_gateway.boundary import MAX_BODY_BYTES

PAGE = "https://page.example"


@pytest.fixture(scope="module")
def gateway(redis_server: str) -> Iterator[RunningGateway]:
    with served(redis_server, {"HTTP_ORIGINS": f"{PAGE}, https://other.example"}) as made:
        yield made


@pytest.fixture(scope="module")
def guarded(redis_server: str) -> Iterator[RunningGateway]:
    """One that others can reach."""
    with served(redis_server, {"HTTP_HOST": "0.0.0.0"}) as made:
        yield made


def status(gateway: RunningGateway, path: str = "/v1/status", **headers: str) -> int:
    return gateway.http.get(path, headers=headers).status_code


def token(gateway: RunningGateway, role: str, agent: str = "") -> dict[str, str]:
    with connect(gateway.settings) as client:
        made, _ = AccessControl(gateway.settings, client).create(role, agent)
    return {"Authorization": f"Bearer {made}"}


@contextmanager
def over_socket(gateway: RunningGateway) -> Iterator[httpx.Client]:
    transport = httpx.HTTPTransport(uds=str(gateway.settings.gateway_socket))
    with httpx.Client(transport=transport, base_url="http://swarm", timeout=30.0) as client:
        yield client


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9:80", "[::1]:8787", "LOCALHOST"])
def test_a_host_that_is_this_machine_is_let_in(gateway: RunningGateway, host: str) -> None:
    assert status(gateway, Host=host) == 200


@pytest.mark.parametrize(
    "host", ["page.example", "localhost.page.example", "10.0.0.1", "", "[::1", "a b", "127.0.0.1.nip.io"]
)
def test_a_host_that_somebody_had_point_here_is_refused(gateway: RunningGateway, host: str) -> None:
    answer = gateway.http.get("/v1/status", headers={"Host": host})
    assert answer.status_code in (400, 403)
    if answer.status_code == 403:
        assert answer.json()["error"]["type"] == "ForbiddenError"


def test_a_page_from_elsewhere_is_refused_and_the_gateways_own_and_named_ones_are_not(gateway: RunningGateway) -> None:
    for origin in ("https://evil.example", "null", "http://localhost:1", f"{PAGE}.evil.example", "https://[::1"):
        assert status(gateway, Origin=origin) == 403, origin
    assert status(gateway, Origin=gateway.url) == 200
    answer = gateway.http.get("/v1/status", headers={"Origin": PAGE})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, PAGE)
    asked = {
        "Origin": PAGE,
        "Access-Control-Request-Method": "DELETE",
        "Access-Control-Request-Headers": "authorization",
    }
    assert gateway.http.options("/v1/agents/x", headers=asked).status_code == 200
    assert gateway.http.options("/v1/agents/x", headers={**asked, "Origin": "https://evil.example"}).status_code == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_page_from_elsewhere_embeds_nothing_and_may_link(gateway: RunningGateway, site: str) -> None:
    def fetched(mode: str, site: str = site) -> int:
        return status(gateway, **{"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode})

    # An image, a script or a fetch without CORS comes without an Origin, and would hold a place of those who listen.
    assert fetched("no-cors") == 403
    assert fetched("navigate") == fetched("no-cors", "same-origin") == fetched("no-cors", "none") == 200
    assert status(gateway, Origin=PAGE, **{"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "cors"}) == 200


def test_a_body_that_is_too_large_is_refused_whether_it_says_so_or_not(gateway: RunningGateway) -> None:
    large = b'{"query": "' + b"x" * MAX_BODY_BYTES + b'"}'
    answer = gateway.http.post("/api/query", content=large)
    assert (answer.status_code, answer.json()["error"]["type"]) == (413, "CapacityError")
    answer = gateway.http.post("/api/query", content=iter([large[:100], large[100:]]))
    assert answer.status_code == 413
    assert status(gateway) == 200


def test_a_body_that_never_ends_holds_nobody_up(gateway: RunningGateway) -> None:
    address = (urlsplit(gateway.url).hostname, urlsplit(gateway.url).port)
    slow = [socket.create_connection(address) for _ in range(100)]
    try:
        for one in slow:
            one.sendall(b"POST /v1/query HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n")
            one.sendall(b'Content-Length: 1000\r\n\r\n{"text": ')
        for _ in range(10):
            assert gateway.post("/v1/query", {"text": "a task"}) == {"patterns": [], "by_agent": None}
    finally:
        for one in slow:
            one.close()


def test_over_the_socket_no_token_is_needed_and_only_this_user_gets_there(guarded: RunningGateway) -> None:
    assert status(guarded) == 401
    with over_socket(guarded) as client:
        assert client.get("/v1/status").status_code == 200
    mode = guarded.settings.gateway_socket.stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600


def test_off_loopback_a_token_says_who_asks(guarded: RunningGateway) -> None:
    answer = guarded.http.get("/v1/status")
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert status(guarded, Authorization="Bearer of-nothing") == 401
    assert status(guarded, **token(guarded, "reader")) == 200
    for path in ("/health", "/health/live", "/openapi.json"):
        assert status(guarded, path) == 200, path
    # Whatever its name in the network is.
    assert status(guarded, Host="swarm.example", **token(guarded, "reader")) == 200


def test_each_role_may_do_its_own(guarded: RunningGateway) -> None:
    reader, ada, operator = (token(guarded, *who) for who in (("reader",), ("agent", "ada"), ("operator",)))
    begin = {"agent": "ada", "text": "a task"}
    guarded.post("/v1/trajectories", begin, 403, headers=reader)
    advice = guarded.post("/v1/trajectories", begin, 201, headers=ada)
    guarded.post("/v1/trajectories", {**begin, "agent": "bob"}, 403, headers=ada)
    guarded.post("/v1/trajectories", {**begin, "role": "tester"}, 403, headers=ada)
    end = {"agent": "ada", "success": True}
    guarded.post(f"/v1/trajectories/{advice['trajectory_id']}/end", end, 403, headers=token(guarded, "agent", "bob"))
    receipt = guarded.post(f"/v1/trajectories/{advice['trajectory_id']}/end", end, headers=ada)
    guarded.get(f"/v1/receipts/{receipt['id']}", 403, headers=token(guarded, "agent", "bob"))
    guarded.get(f"/v1/receipts/{receipt['id']}", headers=ada)
    for method, path, body in (
        ("POST", "/v1/rewind", {"agent": "ada"}),
        ("POST", "/v1/backup", None),
        ("DELETE", "/v1/agents/ada", None),
        ("POST", "/v1/agents/ada/rollback", {"version": 0}),
        ("GET", "/v1/dead", None),
    ):
        for who in (reader, ada):
            guarded.call(method, path, 403, json=body, headers=who)
    assert guarded.http.post("/v1/backup", headers=operator).status_code == 200
    guarded.delete("/v1/agents/ada", headers=operator)


def test_too_many_calls_under_a_token_are_told_when_to_come_again(redis_server: str) -> None:
    with served(redis_server, {"HTTP_REQUIRE_TOKEN": "1", "RATE_READS": "0.1", "RATE_BURST": "20"}) as gateway:
        reader = token(gateway, "reader")
        assert [status(gateway, **reader) for _ in range(3)] == [200, 200, 429]
        answer = gateway.http.get("/v1/status", headers=reader)
        assert 1 <= int(answer.headers["retry-after"]) <= 10
        # Where tokens are required, the socket is no way around them.
        with over_socket(gateway) as client:
            assert client.get("/v1/status").status_code == 401


def test_a_token_is_in_no_log_and_no_answer(guarded: RunningGateway) -> None:
    secret = "swt_0123456789abcdef_s3cret-s3cret-s3cret"
    answer = guarded.http.get("/v1/status", headers={"Authorization": f"Bearer {secret}"})
    assert answer.status_code == 401
    assert "s3cret" not in answer.text
    assert "s3cret" not in guarded.log()


@examples(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(["Host", "Origin", "Authorization", "Content-Length", "Content-Type", "Last-Event-ID", "X-A"]),
    value=st.binary(max_size=60).filter(lambda one: not set(one) & set(b"\r\n\0")),
)
def test_whatever_a_header_holds_the_answer_is_one(name: str, value: bytes) -> None:
    [gateway] = FUZZED
    address = (urlsplit(gateway.url).hostname, urlsplit(gateway.url).port)
    with socket.create_connection(address, timeout=10.0) as raw:
        host = b"" if name == "Host" else b"Host: localhost\r\n"
        raw.sendall(
            b"POST /v1/query HTTP/1.1\r\n" + host + name.encode() + b": " + value + b"\r\nConnection: close\r\n\r\n"
        )
        raw.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: raw.recv(65_536), b""))
    code = int(answer.split(b" ", 2)[1]) if answer else 400
    assert 400 <= code < 500, answer


FUZZED: list[RunningGateway] = []


@pytest.fixture(autouse=True)
def _fuzzed(gateway: RunningGateway) -> None:
    FUZZED[:] = [gateway]


def test_many_connections_at_once_are_all_answered(gateway: RunningGateway) -> None:
    codes: list[int] = []

    def call() -> None:
        codes.append(httpx.get(f"{gateway.url}/health/live", timeout=30.0, trust_env=False).status_code)

    threads = [threading.Thread(target=call) for _ in range(100)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert codes == [200] * 100

from __future__ import annotations

import json
import logging
import re
import socket
import threading
import traceback
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest

from swarm.embed import EndpointEmbedder
from swarm.errors import BoundsError, EmbedderUnavailableError, InputError

KEY = "sk-very-secret-0123456789"
DIM = 16
Request = dict[str, Any]


def row(text: str) -> list[float]:
    return [float(len(text)), *[1.0] * (DIM - 1)]


def well_formed(request: Request) -> tuple[int, object]:
    """Rows in the reverse order, which the format allows."""
    data = [{"object": "embedding", "index": i, "embedding": row(text)} for i, text in enumerate(request["input"])]
    return 200, {"object": "list", "data": data[::-1], "model": request["model"]}


class Server(ThreadingHTTPServer):
    """A real HTTP server that speaks the format; `answer` decides what it says."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer: Callable[[Request], tuple[int, object]] = well_formed
        self.requests: list[Request] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing on stderr: a client that has given up does not take its answer."""


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append(request)
        self.server.headers.append({name.lower(): value for name, value in self.headers.items()})
        self.server.paths.append(self.path)
        status, answer = self.server.answer(request)
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if status == 307:
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing on stderr."""


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever proxy this machine uses, the tests' own addresses are reached without it."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def connect(server: Server) -> Iterator[Callable[..., EndpointEmbedder]]:
    opened: list[EndpointEmbedder] = []

    def build(**options: Any) -> EndpointEmbedder:
        arguments: dict[str, Any] = {"base_url": server.url, "model": "mini", "api_key": KEY, "dim": DIM}
        opened.append(EndpointEmbedder(**(arguments | options)))
        return opened[-1]

    yield build
    for embedder in opened:
        embedder.close()


Connect = Callable[..., EndpointEmbedder]


def test_vectors_are_in_the_order_of_the_texts_whatever_the_order_of_the_answer(connect: Connect) -> None:
    texts = ["a" * n for n in range(1, 8)]
    vectors = connect().embed(texts)
    expected = np.array([row(text) for text in texts])
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(vectors, expected, atol=1e-6)
    assert vectors.dtype == np.float32


def test_request_is_what_the_format_says(server: Server, connect: Connect) -> None:
    connect().embed_one("hello")
    assert server.requests == [{"model": "mini", "input": ["hello"], "encoding_format": "float", "dimensions": DIM}]
    assert server.paths == ["/v1/embeddings"]
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"


def test_many_texts_go_in_batches(server: Server, connect: Connect) -> None:
    vectors = connect().embed([f"text {n}" for n in range(150)])
    assert vectors.shape == (150, DIM)
    assert [len(request["input"]) for request in server.requests] == [64, 64, 22]


def test_one_by_one_equals_batch(connect: Connect) -> None:
    embedder, texts = connect(), ["a", "bb", "ccc"]
    assert embedder.embed(texts).tobytes() == b"".join(embedder.embed_one(text).tobytes() for text in texts)


def test_dimension_is_asked_for_when_it_is_not_given(server: Server, connect: Connect) -> None:
    embedder = connect(dim=None)
    assert str(embedder.identity) == f"openai:mini@1 ({DIM}-d)"
    assert len(server.requests) == 1
    embedder.embed_one("hello")
    assert "dimensions" not in server.requests[-1]


def test_without_a_key_no_authorization_is_sent(server: Server, connect: Connect) -> None:
    connect(api_key=None).embed_one("hello")
    connect(api_key="  ").embed_one("hello")
    assert not any("authorization" in headers for headers in server.headers)


def test_another_dimension_than_promised_is_refused(connect: Connect) -> None:
    with pytest.raises(EmbedderUnavailableError, match=r"shape \(1, 16\), expected \(1, 32\)"):
        connect(dim=32).embed_one("hello")


def item(index: object, embedding: object = None) -> dict[str, object]:
    return {"index": index, "embedding": row("x") if embedding is None else embedding}


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html>",
        b"\xff\xfe",
        b"[" * 100_000,
        [],
        None,
        {},
        {"data": None},
        {"data": []},
        {"data": [item(0)]},
        {"data": [item(0), item(0)]},
        {"data": [item(0), item(2)]},
        {"data": [item(0), item(1), item(2)]},
        {"data": [item(0), 3]},
        {"data": [item([]), item(1)]},
        {"data": [item(0), {"index": 1}]},
        {"data": [item(0), item(1, "AAAA")]},
        {"data": [item(0), item(1, [1.0])]},
        {"data": [item(0), item(1, [None] * DIM)]},
        {"data": [item(0), item(1, [1e39] * DIM)]},
        b'{"data": [{"index": 0, "embedding": [NaN]}, {"index": 1, "embedding": [NaN]}]}',
    ],
)
def test_malformed_answer_is_an_error(server: Server, connect: Connect, answer: object) -> None:
    server.answer = lambda request: (200, answer)
    with pytest.raises(EmbedderUnavailableError, match="mini"):
        connect().embed(["a", "b"])


@pytest.mark.parametrize("answer", [{"data": [item(0, "AAAA")]}, {"data": [item(0, 3)]}, {"data": []}])
def test_malformed_answer_about_the_dimension_is_an_error(server: Server, connect: Connect, answer: object) -> None:
    server.answer = lambda request: (200, answer)
    with pytest.raises(EmbedderUnavailableError, match="mini"):
        connect(dim=None)


def test_model_with_too_few_dimensions_is_refused(server: Server, connect: Connect) -> None:
    server.answer = lambda request: (200, {"data": [item(0, [1.0])]})
    with pytest.raises(BoundsError, match=r"16\.\.8192, got 1"):
        connect(dim=None)


@pytest.mark.parametrize("status", [307, 400, 401, 404, 429, 500, 503])
def test_error_status_is_an_error_that_quotes_the_reason(server: Server, connect: Connect, status: int) -> None:
    server.answer = lambda request: (status, {"error": {"message": "the reason"}})
    with pytest.raises(EmbedderUnavailableError, match=f"HTTP {status}: .*the reason"):
        connect().embed_one("hello")


def test_nobody_listening_is_an_error(connect: Connect) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(EmbedderUnavailableError, match=f"mini at http://127.0.0.1:{port}/v1/: ConnectError"):
        connect(base_url=f"http://127.0.0.1:{port}/v1").embed_one("hello")


def test_a_server_that_does_not_answer_is_an_error_within_the_timeout(server: Server, connect: Connect) -> None:
    released = threading.Event()

    def late(request: Request) -> tuple[int, object]:
        released.wait(30)
        return well_formed(request)

    server.answer = late
    try:
        with pytest.raises(EmbedderUnavailableError, match="ReadTimeout"):
            connect(timeout=0.2).embed_one("hello")
    finally:
        released.set()


def test_a_connection_that_is_cut_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def cut() -> None:
            listener.accept()[0].close()

        thread = threading.Thread(target=cut)
        thread.start()
        embedder = EndpointEmbedder(f"http://127.0.0.1:{listener.getsockname()[1]}", "mini", dim=DIM)
        with pytest.raises(EmbedderUnavailableError, match=r"mini at .*: (RemoteProtocol|Read)Error"):
            embedder.embed_one("hello")
        embedder.close()
        thread.join()


def test_key_appears_nowhere(
    server: Server, connect: Connect, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    seen: list[str] = []
    with caplog.at_level(logging.DEBUG):
        embedder = connect()
        embedder.embed_one("hello")
        seen += [repr(embedder), str(embedder), repr(embedder.identity)]
        server.answer = lambda request: (401, {"error": f"wrong key {KEY}, Bearer {KEY}"})
        seen.append(_failure(lambda: embedder.embed_one("hello")))
        server.answer = lambda request: (200, f"not JSON, Bearer {KEY}".encode())
        seen.append(_failure(lambda: embedder.embed_one("hello")))
        seen.append(_failure(lambda: connect(base_url="http://127.0.0.1:1").embed_one("hello")))
        for key in (f"{KEY}\nX", f"{KEY}é"):
            seen.append(_failure(lambda key=key: connect(api_key=key)))  # type: ignore[misc]  # bound early
    captured = capfd.readouterr()
    seen += [caplog.text, captured.out, captured.err]
    assert "wrong key ***" in seen[3]
    assert not [text for text in seen if "very-secret" in text]


def _failure(call: Callable[[], object]) -> str:
    """The whole traceback, causes included, as a log would show it."""
    try:
        call()
    except (EmbedderUnavailableError, InputError) as error:
        # The lines of source hold the names of this test only.
        return "".join(traceback.format_exception(error))
    raise AssertionError("no error")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:11434",
        "ftp://host/v1",
        "http://",
        "http://user:hunter2@host/v1",
        "http://host/v1?key=hunter2",
        "http://host/v1#hunter2",
        "http://host:notaport/hunter2",
        "http://host:99999/",
        "http://ho\nst/",
        "http://[::1/",
        None,
    ],
)
def test_unusable_address_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(InputError, match="base_url must be") as caught:
        EndpointEmbedder(url, "mini", dim=DIM)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("timeout", [0.0, -1.0, float("nan"), float("inf"), 601.0])
def test_timeout_out_of_bounds_is_refused(timeout: float) -> None:
    with pytest.raises(BoundsError, match=re.escape("timeout must be above 0")):
        EndpointEmbedder("http://127.0.0.1:1", "mini", dim=DIM, timeout=timeout)


def test_proxy_that_cannot_be_used_is_an_error_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "nonsense://user:hunter2@proxy")
    text = _failure(lambda: EndpointEmbedder("http://127.0.0.1:1", "mini", dim=DIM))
    assert "cannot set up an HTTP client" in text
    assert "user:hunter2" not in text

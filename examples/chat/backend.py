"""A back end over HTTP, and a page to chat with: it learns from thumbs up and down which of its answers fits.

swarm up && python examples/chat/backend.py

The browser talks to this process, and this process to the gateway: the token (SWARM_TOKEN) never leaves the server.
"""

from __future__ import annotations

import json
import os
import threading
from collections import OrderedDict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

GATEWAY = os.environ.get("SWARM_GATEWAY", "http://127.0.0.1:8787")
PAGE = Path(__file__).with_name("page.html")
AGENT = "chatbot"
ANSWERS = (
    "You can reset your password under Settings, Security.",
    "Invoices are under Billing, Documents.",
    "You can end your plan under Billing, Plan.",
    "A parcel takes two to three days; its number is in the mail that we sent.",
)
GOOD_ENOUGH = 0.5
"""Expected quality from which on what was learned is said; below it, an answer is tried."""
MAX_OPEN = 1_000
"""Answers without feedback that are remembered; the oldest is let go."""
MAX_BODY_BYTES = 16_384


def gateway(method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """What the gateway answers; `HTTPError` carries what it refuses."""
    headers = {"Content-Type": "application/json"}
    if token := os.environ.get("SWARM_TOKEN"):
        headers["Authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(GATEWAY + path, data, headers, method=method), timeout=10.0) as answer:
        found: dict[str, Any] = json.loads(answer.read())
    return found


class Chatbot:
    """Answers with what the swarm has learned, tries an answer where it knows none, and reports how it was."""

    def __init__(self) -> None:
        self._open: OrderedDict[str, str] = OrderedDict()
        self._disliked: OrderedDict[str, set[str]] = OrderedDict()
        self._lock = threading.Lock()

    def answer(self, text: str) -> dict[str, Any]:
        """An answer, the id that its feedback names, and where it comes from."""
        advice = gateway("POST", "/v1/trajectories", {"agent": AGENT, "text": text, "k": 3})
        best = next((hit for hit in advice["patterns"] if hit["expected_quality"] >= GOOD_ENOUGH), None)
        with self._lock:
            answer = best["response"] if best else self._try(text)
            self._remember(self._open, advice["trajectory_id"], answer)
        why = f"learned from “{best['examples'][0]['text']}”" if best and best["examples"] else "a try"
        return {"id": advice["trajectory_id"], "answer": answer, "why": why, "is_learned": best is not None}

    def feedback(self, trajectory: str, text: str, *, is_helpful: bool) -> dict[str, Any]:
        """Report an answer; the receipt says where the outcome is. `KeyError` for one that is not open."""
        with self._lock:
            answer = self._open.pop(trajectory)
            if not is_helpful:
                self._remember(self._disliked, text, {answer} | self._disliked.get(text, set()))
        outcome = {"agent": AGENT, "success": is_helpful, "output": answer}
        return {"state": gateway("POST", f"/v1/trajectories/{trajectory}/end", outcome)["state"]}

    def _try(self, text: str) -> str:
        disliked = self._disliked.get(text, set())
        return next((answer for answer in ANSWERS if answer not in disliked), ANSWERS[0])

    @staticmethod
    def _remember(kept: OrderedDict[str, Any], key: str, value: object) -> None:
        kept[key] = value
        while len(kept) > MAX_OPEN:
            kept.popitem(last=False)


class Handler(BaseHTTPRequestHandler):
    """The page, `POST /chat {text}`, `POST /feedback {id, text, helpful}` and `GET /state`."""

    bot = Chatbot()

    def do_GET(self) -> None:
        """The page, or how much is known."""
        if self.path == "/":
            self._answer(200, "text/html; charset=utf-8", PAGE.read_bytes())
        elif self.path == "/state":
            self._call(lambda: {"patterns": gateway("GET", "/health")["patterns"]})
        else:
            self._json(404, {"error": "not found"})

    def do_POST(self) -> None:
        """A message, or what somebody thought of an answer."""
        # A page of another site cannot send this type without being asked about it first, which is refused here.
        if self.headers.get_content_type() != "application/json":
            self._json(415, {"error": "send application/json"})
            return
        size = int(self.headers.get("Content-Length") or 0)
        if size > MAX_BODY_BYTES:
            self._json(413, {"error": f"at most {MAX_BODY_BYTES} bytes"})
            return
        try:
            body = json.loads(self.rfile.read(size))
            if self.path == "/chat":
                text = str(body["text"])
                self._call(lambda: self.bot.answer(text))
            elif self.path == "/feedback":
                name, text, is_helpful = str(body["id"]), str(body["text"]), body["helpful"] is True
                self._call(lambda: self.bot.feedback(name, text, is_helpful=is_helpful))
            else:
                self._json(404, {"error": "not found"})
        except (ValueError, KeyError, TypeError) as error:
            self._json(400, {"error": f"{type(error).__name__}: {error}"})

    def _call(self, work: Any) -> None:
        try:
            self._json(200, work())
        except HTTPError as error:
            with error:
                self._json(error.code, {"error": json.loads(error.read())["error"]["message"]})
        except URLError as error:
            self._json(502, {"error": f"no gateway at {GATEWAY} ({error.reason}): swarm up starts one"})

    def _json(self, status: int, values: dict[str, Any]) -> None:
        self._answer(status, "application/json", json.dumps(values).encode())

    def _answer(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", "default-src 'self' 'unsafe-inline'; frame-ancestors 'none'")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """What is asked stays out of the log."""


def main() -> None:
    with ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("CHAT_PORT", "8790"))), Handler) as server:
        print(f"chat with it: http://127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()

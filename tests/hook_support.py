"""What the tests of hooks share: recorded payloads, and a gateway in this process to send them to."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from swarm.settings import Settings
from swarm.sona.trajectory import Trajectory
from swarm.wire.records import decode_trajectory
from swarm_gateway.app import create_app
from swarm_gateway.gateway import Gateway

PAYLOADS = Path(__file__).parent / "gateway" / "payloads"
SESSION = "5f0c2f1e-7d0a-4a52-9f4e-0a6c9c1d2e3f"


def recorded(client: str) -> list[tuple[str, dict[str, Any]]]:
    """Name and payload of each recorded event of a client, in the order in which they came."""
    files = sorted(PAYLOADS.glob(f"{client}.*.json"))
    return [(file.stem, json.loads(file.read_text(encoding="utf-8"))) for file in files]


class HookClient:
    """A coding agent in one session, as the gateway sees it."""

    def __init__(self, http: TestClient, gateway: Gateway, client: str = "claude-code", session: str = SESSION) -> None:
        self.http = http
        self.gateway = gateway
        self._client = client
        self._session = session
        self._calls = 0

    def post(self, body: bytes, **headers: str) -> Any:
        """Send bytes; the answer, which is always one of success and JSON."""
        answer = self.http.post(f"/v1/hooks/{self._client}", content=body, headers=headers)
        assert answer.status_code == 200
        return answer.json()

    def send(self, event: str, headers: Mapping[str, str] | None = None, **fields: Any) -> Any:
        """Send an event of the session."""
        payload = {"session_id": self._session, "hook_event_name": event, **fields}
        return self.post(json.dumps(payload).encode(), **(headers or {}))

    def prompt(self, text: str, **headers: str) -> str:
        """A prompt; the context that comes back."""
        said = self.send("UserPromptSubmit", headers, prompt=text)
        return str(said.get("hookSpecificOutput", {}).get("additionalContext", ""))

    def bash(self, command: str, *, ok: bool = True, printed: str = "", **fields: Any) -> None:
        """A command that ended."""
        self._calls += 1
        call = {"tool_name": "Bash", "tool_input": {"command": command}, "tool_use_id": f"call-{self._calls}", **fields}
        if ok:
            response = {"stdout": printed, "stderr": "", "interrupted": False}
            self.send("PostToolUse", tool_response=response, **call)
        else:
            self.send("PostToolUseFailure", error=f"Exit code 1\n{printed}", **call)

    def stop(self, message: str = "", **fields: Any) -> None:
        """The turn ended."""
        self.send("Stop", stop_hook_active=False, last_assistant_message=message, **fields)

    @property
    def status(self) -> dict[str, Any]:
        """What the gateway counted."""
        found = self.http.get("/v1/hooks").json()
        assert isinstance(found, dict)
        return found

    @property
    def work(self) -> dict[str, int]:
        """What was done."""
        return dict(self.status["work"])

    def outcomes(self, agent: str = "claude-code") -> list[Trajectory]:
        """The outcomes of an agent, oldest first."""
        swarm = self.gateway.swarm
        return [decode_trajectory(record) for _, record in swarm.outcomes(agent).read_after("0-0", 1000)]

    def open_trajectories(self, agent: str = "claude-code") -> int:
        """How many tasks of an agent are under way in Redis."""
        return int(self.gateway.swarm.client.hlen(self.gateway.swarm.keys.agent(agent).open))


@contextmanager
def hook_client(settings: Settings, client: str = "claude-code", session: str = SESSION) -> Iterator[HookClient]:
    """A gateway in this process, with its threads, and a client of it."""
    gateway = Gateway(settings)
    with TestClient(create_app(gateway), base_url="http://127.0.0.1:8787") as http:
        yield HookClient(http, gateway, client, session)

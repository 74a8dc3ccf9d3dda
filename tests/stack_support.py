"""A whole stack, Redis, workers, a pool of a role and a gateway, as processes whose spans and logs can be read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
from cli_support import CommandLine
from otlp_support import Collector
from support import wait_until

from swarm.settings import Settings
from swarm_cli.local.gateway import GatewayProcess, find_gateway

PATIENCE = 60.0
HANDLERS = """
from swarm_workers.handlers import handler, Permanent

@handler("editor")
def edit(task):
    if "fail" in task.payload:
        raise ValueError(f"cannot do {task.text}")
    if "give up" in task.payload:
        raise Permanent(f"will not do {task.text}")
    return f"did {task.text}"
"""


class Stack:
    """Started by `start`, ended by `close`; `http` talks to its gateway."""

    def __init__(self, folder: Path, collector: Collector | None = None, **settings: str) -> None:
        self.name = settings.get("name", "default")
        (folder / "stack_handlers.py").write_text(HANDLERS)
        given = {f"SWARM_{name.upper()}": value for name, value in settings.items()}
        self.line = CommandLine(
            **{"SWARM_EMBEDDER": "hashed:32", "SWARM_CONSOLIDATE_DELAY": "0", "SWARM_LOG": "json", **given},
            **(collector.environment if collector else {}),
        )
        path = self.line.environment.get("PYTHONPATH", "")
        self.line.environment["PYTHONPATH"] = f"{folder}:{path}"
        self.http = httpx.Client()

    @property
    def settings(self) -> Settings:
        return self.line.settings.model_copy(update={"name": self.name})

    @property
    def gateway(self) -> GatewayProcess:
        """The gateway that runs now."""
        found = wait_until(lambda: find_gateway(self.settings), PATIENCE, "a gateway")
        assert found is not None
        return found

    def start(self) -> None:
        """Bring it up."""
        self.line.run("up")
        self.http.base_url = httpx.URL(self.gateway.url)

    def start_editors(self) -> None:
        """Start a pool of the role editor."""
        self.line.run(
            *("workers", "start", "--pool", "editors", "-c", "1"), *("--role", "editor", "--handlers", "stack_handlers")
        )

    def post(self, path: str, body: dict[str, Any], traceparent: str = "") -> dict[str, Any]:
        """Post, with an answer that is a success."""
        headers = {"traceparent": traceparent} if traceparent else {}
        answer = self.http.post(path, json=body, headers=headers)
        assert answer.is_success, answer.text
        found = answer.json()
        assert isinstance(found, dict)
        return found

    def report(self, text: str, output: str, *, agent: str = "coder-1", traceparent: str = "") -> dict[str, Any]:
        """Both hooks around a task that succeeds; the receipt."""
        begun = self.post("/v1/trajectories", {"agent": agent, "text": text}, traceparent)
        end = {"agent": agent, "success": True, "output": output}
        return self.post(f"/v1/trajectories/{begun['trajectory_id']}/end", end, traceparent)

    def await_state(self, receipt: dict[str, Any], state: str) -> None:
        """Wait until `swarm receipt` says so."""
        wait_until(
            lambda: self.line.json("receipt", receipt["id"])["state"] == state,
            PATIENCE,
            f"{receipt['id']} to be {state}",
        )

    def log_lines(self) -> list[dict[str, Any]]:
        """All lines that the stack's processes logged; each must be JSON. Redis has a log of its own kind."""
        logs = (self.line.state_dir / "logs").glob("*.log")
        return [json.loads(line) for log in logs for line in log.read_text().splitlines()]

    def close(self) -> None:
        """End it."""
        self.http.close()
        self.line.close()

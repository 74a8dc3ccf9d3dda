"""The services of compose.yaml as processes of this machine, in its order, with its environment and health checks."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
import yaml  # type: ignore[import-untyped]  # its types are a package of their own
from compose_support import FOLDER, read_compose, read_env
from support import find_redis_server, wait_until


class Topology:
    """Starts services in the order of `depends_on`; where a container has a name, a port or a path, it has its own."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="swarm-top-")).resolve()
        values = {**read_env(FOLDER / ".env.example"), "REDIS_PASSWORD": "s3cret", "GRAFANA_PASSWORD": "none"}
        values["SWARM_CONSOLIDATE_DELAY"] = "0.2"
        self.services: dict[str, dict[str, Any]] = read_compose(values)["services"]
        ports = {"8787": _free_port(), "6379": _free_port()}
        self.url = f"http://127.0.0.1:{ports['8787']}"
        self._redis = find_redis_server()
        self._changes = {
            "redis:6379": f"127.0.0.1:{ports['6379']}",
            "8787": ports["8787"],
            "/srv/swarm": str(self.folder / "tokens"),
        }
        self._programs = self._bin(ports["6379"])
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        (self.folder / "tokens").mkdir()

    def start(self, name: str) -> None:
        """Start a service once those that it depends on are as it wants them."""
        service = self.services[name]
        for other, how in service.get("depends_on", {}).items():
            if other not in self.processes:
                self.start(other)
            if how["condition"] == "service_healthy":
                wait_until(lambda other=other: self.is_healthy(other), 90.0, f"{other} being healthy")  # type: ignore[misc]
        with self.log(name).open("ab") as log:
            self.processes[name] = subprocess.Popen(
                self._words(service["command"]), env=self.environment(name), cwd=self.folder, stdout=log, stderr=log
            )

    def is_healthy(self, name: str) -> bool:
        """What the service's own health check says; a service that has ended fails the test."""
        assert self.processes[name].poll() is None, self.log(name).read_text()
        words = self.services[name]["healthcheck"]["test"]
        assert words[0] == "CMD"
        done = subprocess.run(self._words(words[1:]), env=self.environment(name), capture_output=True, timeout=60)
        return done.returncode == 0

    def environment(self, name: str) -> dict[str, str]:
        """The environment of a service's container."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("SWARM_")}
        own = {key: self.changed(str(value)) for key, value in self.services[name].get("environment", {}).items()}
        state = str(self.folder / name)
        return {**kept, "PATH": f"{self._programs}:{kept['PATH']}", "SWARM_STATE_DIR": state, **own}

    def changed(self, word: str) -> str:
        """A word of the file as it is on this machine."""
        for old, new in self._changes.items():
            word = word.replace(old, new)
        return word

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def call(self, method: str, path: str, token: str = "", body: Mapping[str, Any] | None = None) -> bytes:
        """The body of an answer of the gateway."""
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
        data = None if body is None else json.dumps(body).encode()
        with urlopen(Request(self.url + path, data, headers, method=method), timeout=30.0) as answer:
            found = answer.read()
        assert isinstance(found, bytes)
        return found

    def swarm(self, name: str, *words: str) -> str:
        """What `docker compose exec` (or `run --rm`) of a service prints for `swarm WORDS`."""
        program = [str(self._programs / "swarm"), *words]
        done = subprocess.run(program, env=self.environment(name), capture_output=True, check=True, timeout=60)
        return done.stdout.decode()

    def end(self, name: str, timeout_s: float = 30.0) -> int:
        """Stop a service as `docker compose stop` does; its exit code."""
        process = self.processes[name]
        process.send_signal(signal.SIGTERM)
        return process.wait(timeout_s)

    def close(self) -> None:
        """End everything."""
        for name in ("workers", "gateway", "tokens", "redis"):
            if name in self.processes and self.processes[name].poll() is None:
                self.end(name)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _words(self, words: list[str]) -> list[str]:
        # No shell stands between; `sh -c` is one of the words where the file says so.
        return [self.changed(word) for word in words]

    def _bin(self, redis_port: str) -> Path:
        folder = self.folder / "bin"
        folder.mkdir()
        data = self.folder / "redis"
        data.mkdir()
        for name, line in {
            "swarm": f'"{sys.executable}" -m swarm_cli "$@"',
            "python": f'"{sys.executable}" "$@"',
            "redis-server": f'"{self._redis}" --port {redis_port} --bind 127.0.0.1 --dir "{data}" "$@"',
            "redis-cli": f'"{_redis_cli(self._redis)}" -p {redis_port} "$@"',
        }.items():
            (folder / name).write_text(f"#!/bin/sh\nexec {line}\n")
            (folder / name).chmod(0o700)
        return folder


def _redis_cli(server: str) -> str:
    return str(Path(server).with_name(Path(server).name.replace("server", "cli")))


def _free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return str(free.getsockname()[1])


@pytest.fixture(scope="module")
def topology() -> Iterator[Topology]:
    made = Topology()
    try:
        made.start("tokens")
        made.start("gateway")
        made.start("workers")
        yield made
    finally:
        made.close()


@pytest.mark.timeout(300)
def test_an_outcome_posted_to_the_gateway_is_learned_by_the_workers_and_found(topology: Topology) -> None:
    for name in ("redis", "gateway", "workers"):
        wait_until(lambda name=name: topology.is_healthy(name), 90.0, f"{name} being healthy")  # type: ignore[misc]
    ada = topology.swarm("tokens", "token", "create", "--role", "agent", "--agent", "ada").strip()
    text = "read a table from a CSV file"
    begun = json.loads(topology.call("POST", "/v1/trajectories", ada, {"agent": "ada", "text": text}))
    assert begun["patterns"] == []
    path = f"/v1/trajectories/{begun['trajectory_id']}/end"
    receipt = json.loads(
        topology.call("POST", path, ada, {"agent": "ada", "success": True, "output": "csv.DictReader"})
    )
    assert receipt["state"] == "accepted"

    def found() -> list[dict[str, Any]]:
        again = json.loads(topology.call("POST", "/v1/trajectories", ada, {"agent": "ada", "text": text}))
        topology.call("DELETE", f"/v1/trajectories/{again['trajectory_id']}?agent=ada", ada)
        patterns = again["patterns"]
        assert isinstance(patterns, list)
        return patterns

    [pattern] = wait_until(found, 60.0, "the outcome being searchable")
    assert pattern["response"] == "csv.DictReader"


@pytest.mark.timeout(300)
def test_without_a_token_the_gateway_answers_health_alone(topology: Topology) -> None:
    assert json.loads(topology.call("GET", "/health"))["status"] == "ok"
    with pytest.raises(HTTPError) as refused:
        topology.call("POST", "/v1/trajectories", body={"agent": "ada", "text": "anything"})
    assert refused.value.code == 401
    refused.value.close()


@pytest.mark.timeout(300)
def test_a_worker_that_is_killed_comes_back_by_the_supervisor_of_its_container(topology: Topology) -> None:
    def pools() -> list[dict[str, Any]]:
        found = json.loads(topology.swarm("workers", "workers", "list", "--json"))["pools"]
        assert isinstance(found, list)
        return found

    [before] = wait_until(pools, 60.0, "a pool")
    os.kill(before["pid"], signal.SIGKILL)
    wait_until(
        lambda: any(pool["status"] == "running" and pool["pid"] != before["pid"] for pool in pools()),
        90.0,
        "another worker",
    )


@pytest.mark.timeout(300)
def test_a_container_of_workers_that_is_stopped_drains_and_leaves_nothing(topology: Topology) -> None:
    wait_until(lambda: topology.is_healthy("workers"), 90.0, "workers being healthy")
    assert topology.end("workers", 75.0) == 0  # the grace period that the file gives
    assert json.loads(topology.swarm("tokens", "workers", "list", "--json"))["pools"] == []
    topology.start("workers")
    wait_until(lambda: topology.is_healthy("workers"), 90.0, "workers coming back")


def test_prometheus_s_own_configuration_reads_every_metric_of_the_dashboard(topology: Topology) -> None:
    [job] = yaml.safe_load((FOLDER / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    assert topology.processes["tokens"].wait(60.0) == 0
    token = Path(topology.changed(job["authorization"]["credentials_file"])).read_text().strip()
    text = topology.call("GET", job["metrics_path"], token).decode()
    families = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")}
    panels = json.loads((FOLDER / "grafana" / "dashboards" / "swarm.json").read_text())["panels"]
    queries = " ".join(target["expr"] for panel in panels for target in panel["targets"])
    asked = {word for word in queries.replace("(", " ").replace("{", " ").split() if word.startswith("swarm_")}
    assert {word.split("[")[0].removesuffix("_bucket").removesuffix("_count").rstrip(")") for word in asked} <= families

"""The gateway of a machine: started by `up`, kept by the supervisor, ended by `down`."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator

import pytest
from cli_support import CommandLine
from support import wait_until

from swarm_cli.local.checks_gateway import ask
from swarm_cli.local.gateway import GatewayProcess, find_gateway
from swarm_cli.local.stack import down, up


@pytest.fixture
def machine() -> Iterator[CommandLine]:
    made = CommandLine(SWARM_EMBEDDER="hashed")
    try:
        yield made
    finally:
        made.close()


def running(machine: CommandLine) -> GatewayProcess:
    found = find_gateway(machine.settings)
    assert found is not None
    return found


def test_up_starts_a_gateway_that_answers_and_down_leaves_nothing_of_it(machine: CommandLine) -> None:
    state = machine.json("up")
    assert state["gateway_fault"] == ""
    gateway = running(machine)
    assert gateway.as_dict() == state["gateway"]
    assert gateway.url in machine.run("status").stdout
    health = ask(gateway, "/health")
    assert (health["status"], health["swarm"], health["redis"]) == ("ok", "default", "ok")
    machine.json("down")
    assert find_gateway(machine.settings) is None
    assert not machine.settings.gateway_socket.exists()


def test_a_gateway_that_dies_is_started_again_until_it_is_taken_down(machine: CommandLine) -> None:
    machine.json("up")
    first = running(machine)
    os.kill(first.pid, signal.SIGKILL)

    def is_another() -> bool:
        found = find_gateway(machine.settings)
        return found is not None and found.pid != first.pid

    wait_until(is_another, 30.0, "the supervisor to start it again")
    second = running(machine)
    assert ask(second, "/health")["status"] == "ok"


def test_a_gateway_whose_redis_died_says_so_and_doctor_finds_it(machine: CommandLine) -> None:
    state = machine.json("up")
    os.kill(state["supervisor_pid"], signal.SIGKILL)
    os.kill(state["redis_pid"], signal.SIGKILL)
    health = ask(running(machine), "/health")
    assert health["status"] == "degraded"
    assert "Redis" in health["redis"] or "redis" in health["redis"]


def test_a_port_that_is_taken_costs_the_gateway_alone_and_the_way_out_is_named(machine: CommandLine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        machine.environment["SWARM_HTTP_PORT"] = str(other.getsockname()[1])
        state = machine.json("up")
    assert state["gateway"] is None
    assert "SWARM_HTTP_PORT" in state["gateway_fault"]
    assert state["pool"]["status"] == "running"


def test_up_in_this_process_finds_the_gateway_that_runs(machine: CommandLine) -> None:
    settings = machine.settings.model_copy(update={"http_port": 0, "embedder": "hashed"})
    first, second = up(settings, 1), up(settings)
    assert second.done == ()
    assert second.gateway == first.gateway
    assert down(settings).gateway

"""Hosts of their own on one machine: network namespaces on a switch, whose cables can be pulled."""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self


def why_not() -> str:
    """Why there can be no network of namespaces here; empty if there can."""
    if os.environ.get("CI"):
        return "network namespaces are not made on machines of a CI"
    if shutil.which("ip") is None:
        return "there is no `ip` command (package iproute2)"
    name = f"sw{uuid.uuid4().hex[:6]}"
    try:
        _ip("netns", "add", name)
        _ip("-n", name, "link", "add", "br0", "type", "bridge")
    except subprocess.CalledProcessError as error:
        return f"network namespaces are not allowed here: {str(error.stderr).strip()}"
    finally:
        subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
    return ""


class Network:
    """Some hosts; host number n has the address 10.77.0.n, counted from 1."""

    def __init__(self, *hosts: str) -> None:
        self._prefix = f"sw{uuid.uuid4().hex[:6]}"
        self._hosts = hosts
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        self._add("switch")
        _ip("-n", self._name("switch"), "link", "add", "br0", "type", "bridge")
        _ip("-n", self._name("switch"), "link", "set", "br0", "up")
        for number, host in enumerate(self._hosts):
            self._add(host)
            port, switch = f"p{number}", self._name("switch")
            _ip("link", "add", "eth0", "netns", self._name(host), "type", "veth", "peer", "name", port, "netns", switch)
            _ip("-n", switch, "link", "set", port, "master", "br0", "up")
            _ip("-n", self._name(host), "addr", "add", f"{self.address(host)}/24", "dev", "eth0")
            _ip("-n", self._name(host), "link", "set", "eth0", "up")
            _ip("-n", self._name(host), "link", "set", "lo", "up")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for process in self._processes:
            process.kill()
            process.wait(10.0)
        for host in ("switch", *self._hosts):
            subprocess.run(["ip", "netns", "del", self._name(host)], capture_output=True, check=False)

    def address(self, host: str) -> str:
        """Where a host is."""
        return f"10.77.0.{self._hosts.index(host) + 1}"

    def start(self, host: str, command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Start a process on a host; it ends with the network."""
        process = subprocess.Popen(
            ["ip", "netns", "exec", self._name(host), *command], env=dict(environment), stdout=subprocess.DEVNULL
        )
        self._processes.append(process)
        return process

    def run(self, host: str, command: Sequence[str], environment: Mapping[str, str]) -> str:
        """Run a command on a host to its end; what it printed."""
        full = ["ip", "netns", "exec", self._name(host), *command]
        ended = subprocess.run(full, env=dict(environment), capture_output=True, text=True, timeout=120.0)
        assert ended.returncode == 0, f"{command}: {ended.stdout}\n{ended.stderr}"
        return ended.stdout

    def cut(self, host: str) -> None:
        """Pull the cable of a host: nothing that it sends arrives any more, and nobody is told."""
        self._cable(host, "down")

    def join(self, host: str) -> None:
        """Put the cable back."""
        self._cable(host, "up")

    def _cable(self, host: str, state: str) -> None:
        _ip("-n", self._name("switch"), "link", "set", f"p{self._hosts.index(host)}", state)

    def _add(self, host: str) -> None:
        _ip("netns", "add", self._name(host))

    def _name(self, host: str) -> str:
        return f"{self._prefix}-{host}"


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)

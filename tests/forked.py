"""`swarm` in a process of its own that costs no start: forked from one that has loaded the command line.

What runs is what `python -m swarm_cli` runs, with an environment, a folder and streams of its own. Starting costs more
than most commands do, and the tests run a thousand. That commands start from nothing is shown by the tests that use
`CommandLine.popen`, by those of each command's help, and by all that `swarm up` starts.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

PROGRAMS = Path(__file__).resolve().parent / "programs"
# What an interpreter or a library reads once, when it starts.
_READ_ONCE = ("PYTHON", "LC_", "LANG", "OTEL_", "MPL")


class Forked:
    """A process that was forked; the part of `subprocess.Popen` that the tests use."""

    def __init__(self, server: socket.socket) -> None:
        self._server = server
        self._answers = server.makefile("rb")
        self.pid = int(self._answers.readline())
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Its exit code, None while it runs."""
        return self._ended(0.0)

    def wait(self, timeout: float) -> int:
        """Wait for its end."""
        code = self._ended(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
        return code

    def send_signal(self, number: int) -> None:
        """Send it a signal while it runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is not None:
            self.send_signal(signal.SIGKILL)
        self.wait(60.0)

    def _ended(self, timeout: float) -> int | None:
        if self.returncode is None and select.select([self._server], [], [], timeout)[0]:
            self.returncode = int(self._answers.readline())
            self._answers.close()
            self._server.close()
        return self.returncode


class ForkServer:
    """The process that forks. `bin` is a folder with a `swarm` that asks it, for those who start one by its name."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="swarm-fork-"))
        self.address = self._folder / "socket"
        self.bin = self._folder / "bin"
        self.bin.mkdir()
        swarm = self.bin / "swarm"
        swarm.write_text(
            f'#!/bin/sh\nexec "{sys.executable}" -I -S "{PROGRAMS / "swarm_forked.py"}" "{self._folder}" "$@"\n'
        )
        swarm.chmod(0o700)
        self._read_once = _read_once(os.environ)
        (self._folder / "read-once.json").write_text(json.dumps([_READ_ONCE, self._read_once]))
        command = [sys.executable, str(PROGRAMS / "fork_commands.py"), str(self.address)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"

    def starts_like(self, environment: Mapping[str, str]) -> bool:
        """Whether an interpreter in this environment would start as the server's did."""
        return self._read_once == _read_once(environment)

    def start(self, arguments: Sequence[str], environment: Mapping[str, str], *streams: IO[Any]) -> Forked:
        """Start `swarm ARGUMENTS` with this stdin, stdout and stderr."""
        server = socket.socket(socket.AF_UNIX)
        server.connect(str(self.address))
        request = {"arguments": arguments, "environment": dict(environment), "folder": os.getcwd()}
        socket.send_fds(server, [json.dumps(request).encode() + b"\n"], [stream.fileno() for stream in streams])
        return Forked(server)

    def close(self) -> None:
        """End it."""
        self._process.communicate(timeout=20.0)
        shutil.rmtree(self._folder)


def _read_once(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(_READ_ONCE)}


@cache
def fork_server() -> ForkServer:
    """The one of this process, started when it is first needed."""
    server = ForkServer()
    atexit.register(server.close)
    return server


def start_swarm(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    *,
    output: IO[Any] | None = None,
    errors: IO[Any] | None = None,
) -> Forked | subprocess.Popen[bytes]:
    """Start `swarm ARGUMENTS`, forked where that is the same; what is not wanted of its output is lost."""
    with open(os.devnull, "r+") as nothing:
        streams = (nothing, output or nothing, errors or nothing)
        if (server := fork_server()).starts_like(environment):
            return server.start(arguments, environment, *streams)
        command = [sys.executable, "-m", "swarm_cli", *arguments]
        return subprocess.Popen(command, env=environment, stdin=nothing, stdout=streams[1], stderr=streams[2])

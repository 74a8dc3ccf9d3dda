"""Loads the command line once; forks a process that runs one command for each request on a Unix socket.

It ends when its stdin does.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import sys
from contextlib import suppress
from importlib import import_module
from typing import Any

from swarm_cli.entry import main
from swarm_cli.main import COMMANDS

_GATEWAY = ("swarm_gateway.serving", "swarm_gateway.mcp.http", "swarm_gateway.mcp.stdio", "swarm.embed.wordllama")


def serve(listener: socket.socket) -> None:
    """Serve; returns in each process that was forked, once it is what was asked for."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    asked_by: dict[int, socket.socket] = {}
    while True:
        ready, _, _ = select.select([0, listener.fileno(), woken], [], [])
        if 0 in ready:
            sys.exit()
        if woken in ready:
            os.read(woken, 4096)
            _reap(asked_by)
        if listener.fileno() not in ready:
            continue
        caller, _ = listener.accept()
        request, streams = _read(caller)
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for one in (listener, caller, *asked_by.values()):
                one.close()
            _become(request, streams)
            for descriptor in (woken, wake, *streams):
                os.close(descriptor)
            return
        for stream in streams:
            os.close(stream)
        _tell(caller, pid)
        asked_by[pid] = caller


def _read(caller: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """A request, a line of JSON, and the three streams that come with its beginning."""
    text, streams, _, _ = socket.recv_fds(caller, 1 << 16, 3)
    while not text.endswith(b"\n"):
        text += caller.recv(1 << 16)
    return json.loads(text), streams


def _reap(asked_by: dict[int, socket.socket]) -> None:
    """Tell of every process that has ended how it did."""
    while asked_by:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        with asked_by.pop(pid) as caller:
            _tell(caller, os.waitstatus_to_exitcode(status))


def _tell(caller: socket.socket, number: int) -> None:
    with suppress(OSError):  # whoever asked may be gone
        caller.sendall(b"%d\n" % number)


def _become(request: dict[str, Any], streams: list[int]) -> None:
    """Be the process that was asked for."""
    for number, (stream, name) in enumerate(zip(streams, ("stdin", "stdout", "stderr"), strict=True)):
        os.dup2(stream, number)
        # Anew: the old one knows whether its file could be sought, and was a terminal.
        old = getattr(sys, name)
        mode, buffering = ("r", -1) if number == 0 else ("w", 1)
        new = open(number, mode, buffering, old.encoding, old.errors, closefd=False)  # noqa: SIM115  # open to the end
        setattr(sys, name, new)
        setattr(sys, f"__{name}__", new)
    os.chdir(request["folder"])
    sys.path[0] = request["folder"]
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = ["swarm", *request["arguments"]]


if __name__ == "__main__":
    for module in (*(module for module, _ in COMMANDS.values()), *_GATEWAY):
        import_module(module)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(sys.argv[1])
        listening.listen(64)
        print("ready", flush=True)
        gc.freeze()
        serve(listening)
    main()

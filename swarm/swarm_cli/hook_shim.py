"""The command that a coding agent runs for an event: stdin to the gateway's Unix socket, its answer to stdout.

    python -I -S hook_shim.py claude-code|codex|cursor [SOCKET [AGENT]]

An empty SOCKET is that of this machine's gateway: files that machines share name an agent and no path.

It is a process for each event, so its start is its cost: it imports nothing of this project, and of the standard
library only what is quick (`socket` alone doubles the time). It ends with code 0 whatever happens, `BUDGET_S` and
`KEEP_S` after it was told the event at the latest: what the gateway did not take then waits in a file beside the
socket, and the gateway reads it when it is back.
"""

from __future__ import annotations

import os
import sys
import time

try:
    # The C modules under `signal` and `socket`, in a quarter of the time.
    import _signal as signal  # type: ignore[import-not-found]  # built in, and in no stub
    import _socket as socket
except ImportError:
    import signal  # a Python that is not CPython
    import socket  # type: ignore[no-redef]

BUDGET_S = 0.16
"""Connecting, sending and waiting for the answer, together."""
READ_S = 1.0
"""Until who calls has said what happened: it does so at once, unless it forgot to close the pipe."""
KEEP_S = 0.06
"""For putting an event into the file, which somebody may have locked."""
MAX_BYTES = 1_048_576
"""A larger event is not kept for later ..."""
MAX_ASKED_BYTES = 8_388_608
"""... and one larger than this is not sent: `MAX_BODY_BYTES` of the gateway, which would refuse it."""
MAX_SPOOL_BYTES = 16_777_216
SUFFIX = ".hooks"
"""Of the file beside the socket."""
CLIENTS = ("claude-code", "codex", "cursor")


def main(arguments: list[str]) -> int:
    """Pass one event on. Always 0: a hook must never stop who it is for."""
    if not arguments or arguments[0] not in CLIENTS:
        return 0
    client = arguments[0]
    path = (arguments[1] if len(arguments) > 1 else "") or default_socket()
    agent = arguments[2] if len(arguments) > 2 else os.environ.get("SWARM_AGENT", "")
    if not agent.isascii() or not agent.isprintable() or " " in agent:
        # No name of an agent: it must not become a header or a field of the file.
        agent = ""
    end_within(READ_S)
    body, event = sys.stdin.buffer.read(), os.urandom(12).hex()
    if len(body) > MAX_ASKED_BYTES:
        return 0
    # What is asked has a deadline of its own, and what it was about is kept behind it.
    end_within(0.0)
    try:
        answer = ask(path, client, agent, event, body)
    except (OSError, ValueError):
        end_within(KEEP_S)
        keep(path + SUFFIX, client, agent, event, body)
        return 0
    sys.stdout.buffer.write(answer)
    sys.stdout.buffer.flush()
    return 0


def end_within(limit_s: float) -> None:
    """End the process when so much time has passed, whatever it waits for then; 0 for never."""
    signal.signal(signal.SIGALRM, lambda *_: os._exit(0))
    signal.setitimer(signal.ITIMER_REAL, limit_s)


def ask(path: str, client: str, agent: str, event: str, body: bytes) -> bytes:
    """The body of the gateway's answer.

    Raises
    ------
    OSError
        If there is no gateway, or it is too slow (`TimeoutError`).
    ValueError
        If the answer is none of success, or cut.
    """
    head = (
        f"POST /v1/hooks/{client} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nX-Swarm-Event: {event}\r\nX-Swarm-Agent: {agent}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    deadline = time.monotonic() + BUDGET_S
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(BUDGET_S)
        connection.connect(path)
        connection.settimeout(_left(deadline))
        connection.sendall(head.encode() + body)
        received, part = b"", b"?"
        while part:
            connection.settimeout(_left(deadline))
            part = connection.recv(65_536)
            received += part
    finally:
        connection.close()
    status, _, answer = received.partition(b"\r\n\r\n")
    # Half an answer is no JSON, and a coding agent would take it for words of its own.
    if not (
        status.startswith(b"HTTP/1.1 2") and b"\r\ncontent-length: %d\r\n" % len(answer) in status.lower() + b"\r\n"
    ):
        raise ValueError("no whole answer of success")
    return answer


def _left(deadline: float) -> float:
    left_s = deadline - time.monotonic()
    if left_s <= 0.0:
        # Who sends a little all the time would else be listened to for ever.
        raise TimeoutError
    return left_s


def keep(path: str, client: str, agent: str, event: str, body: bytes) -> None:
    """Append an event to the file of those that wait; nothing if it is full, too large, or cannot be written.

    A line of its own for each, with a line break before it too: what a full disk cut off spoils no other event.
    """
    # Here, because only a gateway that is down costs their time.
    import binascii
    import fcntl

    if len(body) > MAX_BYTES:
        return
    text = binascii.b2a_base64(body, newline=False).decode()
    line = f"\n1 {event} {client} {agent or '-'} {time.time():.3f} {text}\n".encode()
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            # The gateway takes the file away under this lock, for a moment.
            fcntl.flock(file, fcntl.LOCK_EX)
            is_taken = not _is_at(path, file)
            if not is_taken and os.fstat(file).st_size + len(line) <= MAX_SPOOL_BYTES:
                os.write(file, line)
        finally:
            os.close(file)
        if is_taken:
            keep(path, client, agent, event, body)
    except (OSError, RecursionError):
        return


def _is_at(path: str, file: int) -> bool:
    """Whether an open file is still the one of this name."""
    try:
        return os.stat(path).st_ino == os.fstat(file).st_ino
    except FileNotFoundError:
        return False


def default_socket() -> str:
    """Where the gateway of `SWARM_STATE_DIR` and `SWARM_NAME` listens; `Settings.gateway_socket`, without pydantic."""
    name = os.environ.get("SWARM_NAME") or "default"
    folder = os.environ.get("SWARM_STATE_DIR")
    if not folder and sys.platform == "darwin":
        folder = "~/Library/Application Support/sona-swarm"
    if not folder:
        folder = (os.environ.get("XDG_STATE_HOME", "").strip() or "~/.local/state") + "/sona-swarm"
    return f"{os.path.abspath(os.path.expanduser(folder))}/{name}.gateway.sock"


def run() -> None:
    """The process: past the interpreter's tidying up, which takes longer than the round trip."""
    try:
        main(sys.argv[1:])
    finally:
        # Whatever it was, who called must not hear of it: its own work comes first.
        os._exit(0)


if __name__ == "__main__":
    run()

"""The command of a hook as a coding agent runs it: a process of its own, beside a gateway of its own."""

from __future__ import annotations

import ast
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from cli_support import CommandLine
from forked import Forked, start_swarm
from hook_support import recorded
from support import wait_until

from swarm.services.swarm import Swarm
from swarm.settings import Settings, load_settings
from swarm_cli import hook_shim
from swarm_cli.local.gateway import find_gateway
from swarm_gateway.boundary import MAX_BODY_BYTES
from swarm_gateway.hooks import replay

PYTHON = os.path.realpath(sys.executable)
SHIM = [PYTHON, "-I", "-S", hook_shim.__file__]
PROMPT = json.dumps(
    {"session_id": "s", "hook_event_name": "UserPromptSubmit", "prompt": "Fix the date parser"}
).encode()


class Served:
    """A gateway in a process of its own."""

    def __init__(self, line: CommandLine, settings: Settings) -> None:
        self.line = line
        self.settings = settings.model_copy(update={"state_dir": line.state_dir})
        self.socket = str(self.settings.gateway_socket)
        self.process: Forked | subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = start_swarm(["serve"], self.line.environment)
        wait_until(lambda: find_gateway(self.settings), 60.0, "the gateway")

    def warm(self) -> None:
        """Have it answer in time: a process's first event, on a machine that others use, may take longer."""
        start = json.dumps({"session_id": "warm", "hook_event_name": "SessionStart"}).encode()
        wait_until(lambda: self.hook(start) == b"{}", 60.0, "an answer in time")
        wait_until(lambda: self.kept == 0, 30.0, "what was late to be read")

    @property
    def kept(self) -> int:
        """Bytes of events that wait in the file."""
        return replay.waiting_bytes(replay.spool_path(self.settings.gateway_socket))

    def stop(self, number: int = signal.SIGKILL) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        if number != signal.SIGSTOP:
            self.process.wait(30.0)

    def hook(self, body: bytes, *arguments: str, client: str = "claude-code") -> bytes:
        """Run the command; what it printed. It must end with code 0 and say nothing else."""
        done = subprocess.run(
            [*SHIM, client, self.socket, *arguments], input=body, capture_output=True, timeout=30.0, check=True
        )
        assert done.stderr == b""
        return done.stdout


@pytest.fixture
def served(external: CommandLine, settings: Settings) -> Iterator[Served]:
    external.environment["SWARM_EMBEDDER"] = "hashed:32"
    made = Served(external, settings.model_copy(update={"embedder": "hashed:32"}))
    yield made
    if made.process is not None and made.process.poll() is None:
        made.process.send_signal(signal.SIGCONT)
        made.stop()


def outcomes(served: Served, agent: str = "claude-code") -> int:
    return len(Swarm(served.settings).outcomes(agent).read_after("0-0", 100))


def test_a_session_by_the_command_becomes_outcomes(served: Served) -> None:
    served.start()
    served.warm()
    for _, payload in recorded("claude-code"):
        served.hook(json.dumps(payload).encode())
    for _, payload in recorded("codex"):
        served.hook(json.dumps(payload).encode(), "my-codex", client="codex")
    for agent in ("claude-code", "claude-code.test-runner", "my-codex"):
        wait_until(lambda name=agent: outcomes(served, name) == 1, 30.0, f"the outcome of {agent}")  # type: ignore[misc]


def test_what_is_told_while_no_gateway_is_there_counts_once_it_is(served: Served) -> None:
    for _, payload in recorded("claude-code"):
        assert served.hook(json.dumps(payload).encode()) == b""
    assert served.kept > 0
    served.start()
    wait_until(lambda: outcomes(served) == 1, 30.0, "the outcome")
    wait_until(lambda: outcomes(served, "claude-code.test-runner") == 1, 30.0, "that of the sub-agent")


def test_a_gateway_killed_in_a_session_costs_answers_and_no_outcome(served: Served) -> None:
    served.start()
    payloads = [json.dumps(payload).encode() for _, payload in recorded("claude-code")]
    for body in payloads[:4]:
        served.hook(body)
    served.stop(signal.SIGKILL)
    for body in payloads[4:9]:
        assert served.hook(body) == b""
    served.start()
    for body in payloads[9:]:
        served.hook(body)
    wait_until(lambda: outcomes(served) == 1, 30.0, "the outcome")
    wait_until(lambda: outcomes(served, "claude-code.test-runner") == 1, 30.0, "that of the sub-agent")


def test_a_frozen_gateway_is_left_in_time_and_what_it_had_counts_once(served: Served) -> None:
    served.start()
    served.warm()
    served.stop(signal.SIGSTOP)
    took = []
    for _ in range(5):
        began = time.monotonic()
        assert served.hook(PROMPT) == b""
        took.append(time.monotonic() - began)
    # 250 ms where nobody else uses the machine, as `bench_gateway` measures.
    assert min(took) < 1.0
    assert served.process is not None
    served.process.send_signal(signal.SIGCONT)
    wait_until(lambda: served.kept == 0, 30.0, "the file to be read")
    swarm = Swarm(served.settings)
    open_key = swarm.keys.agent("claude-code").open
    # Each prompt was in the socket and in the file. The last one is under way; those before it were given up.
    wait_until(lambda: swarm.client.hlen(open_key) == 1, 30.0, "one task")


@pytest.mark.parametrize("arguments", [[], ["emacs"], ["claude-code", "/nowhere/at/all"]])
def test_it_ends_well_whatever_it_is_called_with(arguments: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [*SHIM, *arguments], input=b"\xff", capture_output=True, cwd=tmp_path, env={"HOME": str(tmp_path)}, check=True
    )
    assert (done.stdout, done.stderr) == (b"", b"")


def test_it_ends_well_when_nobody_reads_what_it_says(served: Served) -> None:
    served.start()
    read, write = os.pipe()
    os.close(read)
    with subprocess.Popen([*SHIM, "claude-code", served.socket], stdin=subprocess.PIPE, stdout=write) as process:
        process.communicate(PROMPT, timeout=30.0)
    os.close(write)
    assert process.returncode == 0


@pytest.mark.parametrize("agent", ["two words", "line\nbreak", "\N{SNOWMAN}"])
def test_an_agent_that_is_no_name_becomes_no_header(served: Served, agent: str) -> None:
    served.start()
    served.warm()
    assert served.hook(PROMPT, agent) == b"{}"


def test_swarm_hook_is_the_same_and_loads_no_click(served: Served) -> None:
    served.start()
    served.warm()
    script = (
        "import sys, os; sys.argv = ['swarm', 'hook', 'claude-code']; from swarm_cli import entry, hook_shim\n"
        "hook_shim.os._exit = lambda code: (print(*{'click', 'socket', 'json', 'pydantic'} & set(sys.modules)), "
        "sys.exit(code))\n"
        "entry.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], input=PROMPT, capture_output=True, env=served.line.environment, check=True
    )
    assert done.stdout == b"{}\n"
    assert "stdin" in served.line.run("hook", "--help").stdout


def test_an_agent_is_named_without_a_socket(served: Served) -> None:
    served.start()
    served.warm()
    for _, payload in recorded("codex"):
        command = [*SHIM, "codex", "", "project-x"]
        subprocess.run(command, input=json.dumps(payload).encode(), env=served.line.environment, check=True)
    wait_until(lambda: outcomes(served, "project-x") == 1, 30.0, "the outcome of project-x")


HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"


@contextmanager
def answering(path: Path, start: bytes, more: bytes = b"") -> Iterator[None]:
    """A gateway on a socket that answers one call by `start`, and then by `more` again and again."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def answer() -> None:
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                connection.recv(65_536)
                connection.sendall(start)
                while more:
                    connection.sendall(more)

        thread = threading.Thread(target=answer)
        thread.start()
        yield
        thread.join()


@pytest.mark.parametrize(
    ("start", "more"),
    [(b"\xff" * 1_000, b""), (HALF, b""), (HALF, b"x"), (HALF, b"x" * 65_536), (b"HTTP/1.1 200", b"")],
)
def test_an_answer_that_is_garbage_cut_or_endless_is_none_and_the_event_is_kept(
    start: bytes, more: bytes, short_path: Path
) -> None:
    with answering(short_path, start, more):
        done = subprocess.run(
            [*SHIM, "claude-code", str(short_path)], input=PROMPT, capture_output=True, timeout=10.0, check=True
        )
    assert (done.stdout, done.stderr) == (b"", b"")
    assert replay.waiting_bytes(replay.spool_path(short_path)) > 0


@pytest.fixture
def short_path() -> Iterator[Path]:
    # The path of a socket may have 107 bytes at most; pytest's own directories can be longer.
    with tempfile.TemporaryDirectory(prefix="swarm-test-") as folder:
        yield Path(folder) / "sock"


def test_it_ends_although_nobody_closes_the_pipe_or_gives_the_file_free(short_path: Path) -> None:
    command = [*SHIM, "claude-code", str(short_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as silent:
        assert silent.wait(10.0) == 0
    with Path(f"{short_path}{hook_shim.SUFFIX}").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert subprocess.run(command, input=PROMPT, capture_output=True, timeout=10.0, check=True).stdout == b""
    Path(file.name).unlink()
    # Nobody reads there.
    os.mkfifo(file.name)
    assert subprocess.run(command, input=PROMPT, capture_output=True, timeout=10.0, check=True).stdout == b""


def test_what_no_gateway_takes_is_read_and_not_sent(short_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(short_path))
        listener.listen()
        listener.setblocking(False)
        body = b"x" * 100_000_000
        done = subprocess.run([*SHIM, "claude-code", str(short_path)], input=body, capture_output=True, check=True)
        assert (done.stdout, done.stderr) == (b"", b"")
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_an_event_is_kept_although_the_file_is_taken_away_while_it_waits_for_it(
    short_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = replay.spool_path(short_path)
    spool.touch()
    lock, takes = fcntl.flock, iter([True])

    def taken_first(file: int, how: int) -> None:
        if next(takes, False):
            # The gateway had the lock, and gives it free now.
            assert replay.take(spool) is not None
        lock(file, how)

    monkeypatch.setattr(fcntl, "flock", taken_first)
    hook_shim.keep(str(spool), "claude-code", "", "e1", PROMPT)
    assert [event.id for event in replay.events(spool) if event] == ["e1"]


def test_its_bound_is_the_gateway_s() -> None:
    assert hook_shim.MAX_ASKED_BYTES == MAX_BODY_BYTES


def test_it_imports_nothing_but_the_standard_library() -> None:
    tree = ast.parse(Path(hook_shim.__file__).read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert names <= sys.stdlib_module_names


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"SWARM_NAME": "other"},
        {"SWARM_STATE_DIR": "/tmp/somewhere"},
        {"SWARM_STATE_DIR": "relative/place"},
        {"SWARM_STATE_DIR": "~/mine"},
        {"XDG_STATE_HOME": "/tmp/xdg"},
        {"XDG_STATE_HOME": "  "},
    ],
)
def test_it_looks_for_the_socket_where_the_gateway_puts_it(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SWARM_NAME", "SWARM_STATE_DIR", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert hook_shim.default_socket() == str(load_settings().gateway_socket)

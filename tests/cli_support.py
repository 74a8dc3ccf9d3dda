"""The command line as a user meets it: processes of its own, in a state directory of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import click
from forked import start_swarm

from swarm.settings import Settings
from swarm_cli.local.gateway import end_gateway
from swarm_cli.local.redis_server import RedisServer
from swarm_cli.local.supervisor import end_supervisor
from swarm_cli.local.workers import local_workers
from swarm_cli.main import COMMANDS
from swarm_workers import processes
from swarm_workers.sole import supervisors

TIMEOUT = 240.0
"""Long enough for a demo on a machine that others use, too."""


def all_commands() -> list[list[str]]:
    """The words of every command, groups included."""
    words: list[list[str]] = [[]]
    for name, (module, _) in COMMANDS.items():
        words.append([name])
        command = import_module(module).command
        if isinstance(command, click.Group):
            words += [[name, inner] for inner in command.commands]
    return words


class CommandLine:
    """Runs `swarm` against one state directory, and ends what it left running."""

    def __init__(self, **environment: str) -> None:
        # A socket's path may have 107 bytes at most; pytest's own directories can be longer.
        self.state_dir = Path(tempfile.mkdtemp(prefix="swarm-cli-")).resolve()
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SWARM_")}
        self.environment = {**kept, "SWARM_STATE_DIR": str(self.state_dir), "COLUMNS": "80"}
        # Many run at once: each gateway takes a free port.
        self.environment |= {"SWARM_HTTP_PORT": "0", **environment}

    @property
    def settings(self) -> Settings:
        """The settings that the commands see, but for an external Redis."""
        return Settings(state_dir=self.state_dir)

    def popen(self, *arguments: str, start_new_session: bool = False) -> subprocess.Popen[str]:
        """Start a command, perhaps in a process group of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "swarm_cli", *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=start_new_session,
        )

    def run(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run a command, which must end with this exit code."""
        with TemporaryFile() as out, TemporaryFile() as err:
            with start_swarm(arguments, self.environment, output=out, errors=err) as process:
                ended = process.wait(TIMEOUT)
            said, complained = (file.read().decode() for file in (out, err) if file.seek(0) == 0)
        assert ended == code, f"swarm {' '.join(arguments)}: {ended}\n{said}\n{complained}"
        return subprocess.CompletedProcess(arguments, ended, said, complained)

    def json(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        """Run a command with `--json`; its stdout must be one JSON object on one line."""
        ended = self.run(*arguments, "--json", code=code)
        assert ended.stdout.count("\n") == 1
        found = json.loads(ended.stdout)
        assert isinstance(found, dict)
        return found

    def error(self, *arguments: str) -> str:
        """Run a command that must fail with one line on stderr and nothing on stdout."""
        ended = self.run(*arguments, code=2)
        assert ended.stdout == ""
        assert ended.stderr.startswith("error: ")
        assert ended.stderr.count("\n") == 1
        return ended.stderr

    def close(self) -> None:
        """End the supervisors, the gateways, the workers and Redis, and remove the directory."""
        for supervisor in supervisors(self.settings):
            end_supervisor(self.settings.model_copy(update={"name": supervisor.swarm}))
        for note in (self.state_dir / "gateway").glob("*.json"):
            end_gateway(self.settings.model_copy(update={"name": note.stem}))
        for worker in local_workers(self.settings):
            processes.terminate(worker.pid, worker.started_s, 5.0)
        RedisServer(self.settings).stop()
        shutil.rmtree(self.state_dir)

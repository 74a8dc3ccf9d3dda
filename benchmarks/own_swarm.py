"""A swarm for one benchmark alone: a private folder, its embedded Redis, and real workers by the command line."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from swarm.errors import RuntimeSetupError
from swarm.settings import Settings, load_settings
from swarm_cli.local.redis_server import RedisServer

ROOT = Path(__file__).resolve().parent.parent
_COMMAND_TIMEOUT_S = 180.0


class OwnSwarm:
    """Redis runs while the context is open; at its end everything that was started is ended, and the folder goes.

    Parameters
    ----------
    variables : settings as in the environment, without SWARM_, such as {"FSYNC": "always"}
    """

    def __init__(self, variables: Mapping[str, str] | None = None) -> None:
        # Not under the temporary folder of a test: a socket's path may have 107 bytes at most.
        self.folder = Path(tempfile.mkdtemp(prefix="swarm-bench-"))
        given = {"NAME": f"b-{uuid.uuid4().hex[:8]}", "STATE_DIR": str(self.folder), "EMBEDDER": "hashed:256"}
        given |= dict(variables or {})
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SWARM_")}
        self._path_before = os.environ.get("PYTHONPATH", "")
        path = os.pathsep.join(filter(None, (str(ROOT), self._path_before)))
        # Workers that are started from this process import the benchmarks' handlers.
        os.environ["PYTHONPATH"] = path
        self.environment = kept | {f"SWARM_{name}": value for name, value in given.items()} | {"PYTHONPATH": path}
        self.settings = self._settings(given)
        self.redis = RedisServer(self.settings)

    @staticmethod
    def _settings(given: Mapping[str, str]) -> Settings:
        return load_settings(redis_url=None, **{name.lower(): value for name, value in given.items()})

    def __enter__(self) -> Self:
        self.redis.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with suppress(RuntimeSetupError, subprocess.TimeoutExpired):
            self.swarm("down")
        with suppress(RuntimeSetupError):
            self.redis.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        os.environ["PYTHONPATH"] = self._path_before

    def swarm(self, *arguments: str) -> str:
        """Run `swarm ARGUMENTS` for this swarm; what it printed.

        Raises
        ------
        RuntimeSetupError
            If it fails; the message is what it said.
        """
        ended = subprocess.run(
            [swarm_command(), *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=_COMMAND_TIMEOUT_S,
        )
        if ended.returncode:
            raise RuntimeSetupError(f"swarm {' '.join(arguments)}: {ended.stderr.strip()}")
        return ended.stdout


def swarm_command() -> str:
    """The path of `swarm`: the one beside this Python, else the one that is found."""
    beside = Path(sys.executable).with_name("swarm")
    return str(beside) if beside.exists() else shutil.which("swarm") or "swarm"

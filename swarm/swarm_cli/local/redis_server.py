"""The embedded Redis: a server of this user on a Unix socket, which outlives the command that started it."""

from __future__ import annotations

import os
import stat
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal

import redis

from swarm.errors import RuntimeSetupError, StoreUnavailableError
from swarm.settings import Settings
from swarm.store.connection import connect, redis_errors
from swarm_cli.local import redis_process
from swarm_cli.local.redis_config import check_data, data_dir, write_config
from swarm_cli.local.redis_process import RedisProcess
from swarm_cli.local.redis_program import RedisProgram, find_program
from swarm_cli.local.statedir import LOCKS, check_state_dir, prepare_state_dir
from swarm_workers import processes
from swarm_workers.locks import file_lock

START_TIMEOUT = 15.0
LOADING_TIMEOUT = 600.0
"""Reading a large append-only file takes a while, and the server says that it is at it."""
STOP_TIMEOUT = 10.0
_ANSWER_TIMEOUT = 1.0
"""Who has not answered by then is asked again, or gets a signal."""
_POLL = 0.02
_KEPT_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")

Answer = Literal["ready", "loading", "silent"]


class RedisServer:
    """Starts and stops the embedded Redis of a state directory; one at most runs, whoever starts it.

    With an external Redis (`settings.redis_url`) nothing is ever started or stopped.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pid_file = settings.state_dir / "redis.pid"
        self._log = settings.state_dir / "redis.log"

    @staticmethod
    def find_executable() -> RedisProgram:
        """Which server would be started; see `find_program`."""
        return find_program()

    @property
    def is_external(self) -> bool:
        return bool(self._settings.redis_url)

    def state(self) -> int | None:
        """The pid of the running server, or None."""
        process = self._process()
        return None if process is None else process.pid

    def start(self, timeout_s: float = START_TIMEOUT) -> bool:
        """Have the server run and answer; returns whether it had to be started.

        Raises
        ------
        RuntimeSetupError
            If there is no usable server program or state directory, or the server does not answer in time.
        """
        if self.is_external:
            return False
        prepare_state_dir(self._settings)
        with self._locked(timeout_s + LOADING_TIMEOUT):
            process = self._process()
            # Without a process in sight a server may still answer, from a container that shares the directory.
            is_missing = process is None and self._ask() == "silent"
            if is_missing:
                process = self._spawn()
            self._await_answer(process, timeout_s)
            self._apply_fsync()
        return is_missing

    def revive(self, timeout_s: float = START_TIMEOUT) -> bool:
        """Start the server again if it died, not if it was stopped; whether it was started. Errors as in `start`."""
        if self.is_external or not self._pid_file.exists() or self._process() is not None:
            return False
        with self._locked(timeout_s):
            # Who stops the server in good order removes this file, under the same lock.
            if not self._pid_file.exists() or self._process() is not None:
                return False
            self._await_answer(self._spawn(), timeout_s)
            self._apply_fsync()
        return True

    def stop(self, timeout_s: float = STOP_TIMEOUT) -> bool:
        """End the server, its data on disk; returns whether there was one. Twice does no harm."""
        if self.is_external or not check_state_dir(self._settings):
            return False
        with self._locked(timeout_s):
            process = self._process()
            was_there = process is not None or self._ask() != "silent"
            if was_there:
                self._shut_down()
            if process is not None and not processes.wait_gone(process.pid, process.started_s, timeout_s):
                process.end(timeout_s)
            self._remove_remains()
        return was_there

    def _process(self) -> RedisProcess | None:
        noted = redis_process.read_pid_file(self._pid_file)
        if noted is not None and noted.is_running:
            return noted
        found = redis_process.find_process(data_dir(self._settings))
        if found is not None:
            redis_process.write_pid_file(self._pid_file, found)
        return found

    def _spawn(self) -> RedisProcess:
        program = find_program()
        check_data(self._settings, program)
        self._remove_remains()
        config = write_config(self._settings)
        # It serves longer than this process; what secrets are in the environment here are none of its business.
        environment = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
        try:
            pid, started_s = processes.spawn([str(program.path), str(config)], environment, self._log)
        except OSError as error:
            raise RuntimeSetupError(f"cannot run {program.path}: {error.strerror}") from error
        process = RedisProcess(pid=pid, started_s=started_s)
        redis_process.write_pid_file(self._pid_file, process)
        return process

    def _await_answer(self, process: RedisProcess | None, timeout_s: float) -> None:
        begun = time.monotonic()
        while (answer := self._ask()) != "ready":
            if process is not None and not processes.is_running(process.pid, process.started_s):
                raise RuntimeSetupError(f"Redis ended at once; see {self._log}:\n{_reason(self._log, process)}")
            limit = LOADING_TIMEOUT if answer == "loading" else timeout_s
            if time.monotonic() - begun > limit:
                who = f"Redis (process {process.pid})" if process else f"the server at {self._settings.socket_path}"
                raise RuntimeSetupError(f"{who} is {answer} after {limit:g} s; `swarm down` ends it, see {self._log}")
            time.sleep(_POLL)

    def _ask(self) -> Answer:
        with self._client() as client:
            try:
                client.ping()
            except redis.BusyLoadingError:
                return "loading"
            except redis.RedisError:
                return "silent"
        return "ready"

    def _apply_fsync(self) -> None:
        """Give a server that ran already the flush policy of these settings."""
        with connect(self._settings) as client, redis_errors("set appendfsync"):
            client.config_set("appendfsync", self._settings.fsync)

    def _shut_down(self) -> None:
        try:
            with self._client() as client, redis_errors("shut Redis down"):
                client.shutdown()
        except StoreUnavailableError:
            pass  # frozen, loading or gone already: whoever called goes on with signals

    def _remove_remains(self) -> None:
        """Remove the pid file and the socket of a server that is gone."""
        self._pid_file.unlink(missing_ok=True)
        path: Path = self._settings.socket_path
        if path.exists() and not stat.S_ISSOCK(path.lstat().st_mode):
            raise RuntimeSetupError(f"{path} is in the way: it is not a socket")
        path.unlink(missing_ok=True)

    def _client(self) -> redis.Redis:
        return connect(self._settings.model_copy(update={"socket_timeout": _ANSWER_TIMEOUT}))

    def _locked(self, timeout_s: float) -> AbstractContextManager[None]:
        return file_lock(self._settings.state_dir / LOCKS / "redis.lock", timeout_s, "start or stop Redis")


def _reason(log: Path, process: RedisProcess) -> str:
    """The last warning of this process in the log, which Redis marks with '#', else the last line."""
    lines = processes.log_tail(log).splitlines()
    warnings = [line for line in lines if line.startswith(f"{process.pid}:") and " # " in line]
    return warnings[-1].partition(" # ")[2] if warnings else lines[-1]

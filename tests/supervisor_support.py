"""What the tests of the supervisor share: one that looks whenever the test waits, and handlers that can be changed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from support import wait_until

from swarm.services.swarm import Swarm
from swarm_workers.limits import Limits
from swarm_workers.plan import RolePlan
from swarm_workers.pools import PoolManager, PoolState
from swarm_workers.supervisor import Supervisor

T = TypeVar("T")
PATIENCE = 60.0
_TICK = 0.1
PLAN = RolePlan(role="coder", handlers=("changing_handlers",))
# A loaded machine must not look like a frozen worker, except where that is the matter.
LIMITS = Limits(silent_s=60.0, deaf_s=60.0)

HANDLERS = """
import time
from pathlib import Path
from swarm_workers.handlers import handler

@handler("coder")
def code(task):
    if "journal" in task.payload:
        with open(task.payload["journal"], "a") as file:
            file.write(task.id + chr(10))
    while "gate" in task.payload and not Path(task.payload["gate"]).exists():
        time.sleep(0.01)
    return VERSION
"""


class Handlers:
    """A module of handlers on the path of the workers, which answer its version."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._path = folder / "changing_handlers.py"
        path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH", ""), str(folder)]))
        monkeypatch.setenv("PYTHONPATH", path)
        # Two versions of one size within a second would share their byte code.
        monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
        self.write(1)

    def write(self, version: int) -> None:
        self._path.write_text(f"VERSION = {version}\n{HANDLERS}")

    def spoil(self) -> None:
        self._path.write_text("raise RuntimeError('no handlers today')\n")


class Watched:
    """A swarm with pools, and a supervisor that looks at them whenever something is waited for."""

    def __init__(self, swarm: Swarm, manager: PoolManager, supervisor: Supervisor) -> None:
        self.swarm, self.manager, self.supervisor = swarm, manager, supervisor
        self._looked_at = 0.0

    def wait(self, condition: Callable[[], T], what: str) -> T:
        """The first true value of `condition`, with looks of the supervisor in between."""

        def looked() -> T:
            if time.monotonic() - self._looked_at > _TICK:
                self.supervisor.tick()
                self._looked_at = time.monotonic()
            return condition()

        return wait_until(looked, PATIENCE, what)

    def result(self, task: str) -> object:
        """What comes of a task."""
        self.wait(lambda: self.swarm.tasks.find(task).has_ended, f"task {task}")
        return self.swarm.tasks.wait(task, 1.0)

    def state(self, pool: str = "coder") -> PoolState:
        (state,) = [state for state in self.manager.list() if state.pool == pool]
        return state

    def await_new(self, before: PoolState) -> PoolState:
        """Wait for another worker of the same pool to run."""

        def found() -> PoolState | None:
            states = [state for state in self.manager.list() if state.pool == before.pool]
            return next((state for state in states if state.pid != before.pid and state.status == "running"), None)

        new = self.wait(found, f"another worker for {before.pool}")
        assert new is not None
        return new

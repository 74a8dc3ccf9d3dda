"""The end of a worker in good order, a step at a time, so that a supervisor waits for none."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress

from swarm_workers import processes
from swarm_workers.limits import Limits
from swarm_workers.poolstate import PoolState
from swarm_workers.steps import END_TIMEOUT, PoolSteps


class Ending:
    """Takes one worker out: no more tasks, then those that it has, then its process. Times are monotonic seconds."""

    def __init__(self, steps: PoolSteps, limits: Limits, pid: int) -> None:
        self._steps = steps
        self._limits = limits
        self.pid = pid
        self._paused_s = 0.0
        self._was_draining = False
        self._told_at: float | None = None
        self._seen_at: float | None = None
        self._busy_at: float | None = None

    @property
    def is_final(self) -> bool:
        """Whether its process was told to end."""
        return self._told_at is not None

    def step(self, state: PoolState, now: float) -> bool:
        """Do what is next; whether the process is gone."""
        if state.status == "dead":
            return True
        if state.status != "silent" or self._seen_at is None:
            self._seen_at = now
        if self._told_at is not None:
            self._end_by_force(state, now - self._told_at > END_TIMEOUT)
        elif state.status == "silent":
            self._end_by_force(state, now - self._seen_at > self._limits.silent_s)
        elif state.status == "running":
            self._pause(state)
        else:
            self._was_draining = True
            self._end_when_idle(state, now)
        return False

    def was_called_back(self, state: PoolState) -> bool:
        """Whether somebody has the worker take tasks again: then it is not to end."""
        return self._was_draining and state.status == "running" and not self.is_final

    def _pause(self, state: PoolState) -> None:
        # A heartbeat from before the last command does not tell whether it was obeyed.
        if state.beat_s > self._paused_s:
            self._steps.pause(state)
            self._paused_s = time.time()

    def _end_when_idle(self, state: PoolState, now: float) -> None:
        if state.active or self._busy_at is None:
            self._busy_at = now
        # Nobody will ever begin what has waited for so long in a worker that has nothing to do: it is lost there, and
        # somebody else was sent for it.
        if state.reserved == 0 or now - self._busy_at > self._limits.deaf_s:
            self._told_at = now
            with suppress(ProcessLookupError):
                os.kill(state.pid, signal.SIGTERM)

    def _end_by_force(self, state: PoolState, is_due: bool) -> None:
        if is_due:
            processes.terminate(state.pid, state.started_s, 0.0)

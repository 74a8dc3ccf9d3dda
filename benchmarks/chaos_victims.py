"""Whom `bench_chaos` kills and freezes: Redis, workers and their children, the supervisor, agents and submitters."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import psutil

from benchmarks.own_swarm import OwnSwarm
from swarm_workers.processes import ENTRY

KINDS = ("redis", "worker", "child", "supervisor", "agent", "submitter")
_FROZEN_S = {"redis": (0.5, 3.0), "supervisor": (1.0, 5.0)}
_LONG_FROZEN_S = (2.0, 12.0)
"""Others may be frozen until somebody replaces them."""


@dataclass(slots=True)
class Killer:
    """Strikes at random, by a seed; counts what it did by kind."""

    own: OwnSwarm
    rng: random.Random
    kills: Counter[str] = field(default_factory=Counter)
    freezes: Counter[str] = field(default_factory=Counter)
    _thaw: dict[psutil.Process, float] = field(default_factory=dict)

    def strike(self, senders: Sequence[tuple[str, int]]) -> None:
        """Kill one process, or freeze it for a while; `senders` are the agents and submitters by pid."""
        victims = self.victims(senders)
        kind = self.rng.choice([kind for kind in KINDS if victims[kind]])
        process = self.rng.choice(victims[kind])
        try:
            if self.rng.random() < 0.75:
                process.kill()
                self.kills[kind] += 1
            elif process not in self._thaw:
                process.suspend()
                self.freezes[kind] += 1
                self._thaw[process] = time.monotonic() + self.rng.uniform(*_FROZEN_S.get(kind, _LONG_FROZEN_S))
        except psutil.NoSuchProcess:
            return

    def thaw(self, *, everybody: bool = False) -> None:
        """Let those go on whose time is over."""
        for process, until in list(self._thaw.items()):
            if everybody or time.monotonic() >= until:
                del self._thaw[process]
                try:
                    process.send_signal(signal.SIGCONT)
                except psutil.NoSuchProcess:
                    continue

    def victims(self, senders: Sequence[tuple[str, int]] = ()) -> dict[str, list[psutil.Process]]:
        """All processes of the swarm by kind; agents and submitters are those in `senders`."""
        found: dict[str, list[psutil.Process]] = {kind: [] for kind in KINDS}
        kind_of = {pid: kind for kind, pid in senders}
        if (redis := self.own.redis.state()) is not None:
            kind_of[redis] = "redis"
        for process in psutil.process_iter():
            try:
                kind = kind_of.get(process.pid) or self._kind(process)
            except psutil.Error:
                continue
            if kind:
                found[kind].append(process)
        return found

    def _kind(self, process: psutil.Process) -> str:
        command = process.cmdline()
        if process.environ().get("SWARM_STATE_DIR") != str(self.own.folder):
            return ""
        if ENTRY in command:
            parent = process.parent()
            return "child" if parent is not None and ENTRY in parent.cmdline() else "worker"
        return "supervisor" if "supervise" in command else ""

"""What workers do, without Celery: find what is due, consolidate, merge, let go of what expired."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict

from swarm.errors import StaleWriterError, StoreUnavailableError
from swarm.services.consolidate import consolidate
from swarm.services.due import due_agents
from swarm.services.expire import OpenTasks, drop_expired
from swarm.services.merge import Merger
from swarm.services.replica import Replica
from swarm.services.route_update import RouteMerger
from swarm.services.turn import WAIT_S
from swarm.services.watch import Watch
from swarm.settings import Settings
from swarm.sona.config import SonaConfig
from swarm.store.agents import AgentLook, AgentStore
from swarm.store.bank import BankStore
from swarm.store.connection import Client, clock_s, connect, redis_errors
from swarm.store.durations import DurationStore
from swarm.store.migrations import check_swarm, migrate
from swarm.store.outcomes import OutcomeStore
from swarm.store.retention import RetentionStore
from swarm.store.routes import RouteStore
from swarm.wire.keys import SwarmKeys

Report = dict[str, int | float | str | bool]

_NUDGE_TTL = 5.0
"""A task that has not come to its end after so many seconds may be dispatched again."""
_POLL_S = 0.02
_MERGE = ":merge"
"""What the merge's nudge is called; no agent can have this name."""
_OPEN = ":open:"
"""The same for the open tasks of an agent."""


class Background:
    """Consolidation and merge of one swarm, for one worker process."""

    def __init__(self, settings: Settings, client: Client | None = None) -> None:
        self._settings = settings
        self._client = client or connect(settings)
        self._keys = SwarmKeys(settings.name)
        self._agents = AgentStore(self._client, self._keys)
        self._bank = BankStore(self._client, self._keys)
        self._retention = RetentionStore(self._client, self._keys)
        self._merger = Merger(
            self._agents,
            self._bank,
            RouteMerger(self._agents, RouteStore(self._client, self._keys, settings.receipt_ttl)),
            settings.lease_ttl,
            self._retention,
        )
        self._watch = Watch(self._agents)
        self._open_tasks = OpenTasks(settings.open_ttl)
        self._durations = DurationStore(self._client, self._keys)
        self._replicas: dict[tuple[int, float, float], Replica] = {}

    def sweep(self, dispatch: Callable[[str, str], None]) -> int:
        """Dispatch a task for each agent that is due, for the merge, and for open tasks that may be old; how many.

        A nudge key keeps a second task from being dispatched while the first is on its way. It expires, so a
        task that got lost costs delay only.
        """
        # A worker that has been connected for long sees here that a newer program, or a restore, has come.
        migrate(self._client, self._keys)
        count = 0
        looks = self._watch.look()
        for agent in self._due(looks):
            count += self._nudge(agent, "consolidate", agent, dispatch)
        if self._merger.is_due({name: look.state for name, look in looks.items()}):
            count += self._nudge(_MERGE, "merge", "", dispatch)
        for agent in self._open_tasks.due(looks, time.monotonic()):
            # This nudge stays: no other worker looks through the same tasks so soon again.
            count += self._nudge(_OPEN + agent, "expire", agent, dispatch, self._open_tasks.every_s)
        return count

    def due(self) -> list[str]:
        """The agents that are due, see `due_agents`; of a large swarm some of them, see `Watch`."""
        return self._due(self._watch.look())

    def _due(self, looks: Mapping[str, AgentLook]) -> list[str]:
        return list(due_agents(self._settings, looks, clock_s(self._client)))

    def consolidate(self, agent: str, worker: str, now_s: float) -> Report:
        """Consolidate one agent; the figures of `Consolidation`."""
        try:
            check_swarm(self._client, self._keys)
            outcomes = OutcomeStore.of(self._settings, self._client, agent)
            rules = self._retention.rules()
            begun = time.perf_counter()
            result = consolidate(agent, self._agents, outcomes, self._replica, self._settings.lease_ttl, rules)
            if result.generation:
                self._took("consolidation", begun)
        except StaleWriterError as error:
            return {"agent": agent, "status": "stale", "why": str(error), "worker": worker, "at_s": now_s}
        finally:
            self._end_nudge(agent)
        return {**asdict(result), "worker": worker, "at_s": now_s}

    def merge(self, worker: str, now_s: float) -> Report:
        """Merge what changed; the figures of `Merge`."""
        try:
            check_swarm(self._client, self._keys)
            begun = time.perf_counter()
            result = self._merger.run()
            if result.version:
                self._took("merge", begun)
            if holders := self._merger.holders_of_expired():
                rules, at_s = self._retention.rules(), clock_s(self._client)
                for name in holders:
                    drop_expired(name, self._agents, rules, self._settings.lease_ttl, at_s)
        except StaleWriterError as error:
            return {"status": "stale", "why": str(error), "worker": worker, "at_s": now_s}
        finally:
            self._end_nudge(_MERGE)
        return {**asdict(result), "worker": worker, "at_s": now_s}

    def publish(self, worker: str, wait_s: float = WAIT_S) -> None:
        """Merge what changed, or wait until somebody else has: then it is searchable.

        Raises
        ------
        StaleWriterError
            If others hold the lease of the merge for longer than `wait_s`.
        """
        deadline = time.monotonic() + wait_s
        while self.merge(worker, time.time())["status"] not in ("published", "idle"):
            if time.monotonic() >= deadline:
                raise StaleWriterError(f"bank: others hold its lease for more than {wait_s:g} s; try again")
            time.sleep(_POLL_S)

    def expire(self, agent: str) -> int:
        """Let go of the tasks of an agent that nobody has ended within `open_ttl`; how many."""
        check_swarm(self._client, self._keys)
        before_s = clock_s(self._client) - self._settings.open_ttl
        return OutcomeStore.of(self._settings, self._client, agent).expire_open(before_s)

    def _took(self, stage: str, begun: float) -> None:
        # It is done: that it cannot be counted is no reason to fail.
        with suppress(StoreUnavailableError):
            self._durations.add(stage, time.perf_counter() - begun)

    def drain(self, now_s: float) -> None:
        """Consolidate and merge in this process until nothing waits: for tools and tests without workers."""
        for agent, state in self._agents.states(self._agents.names()).items():
            waiting = state.pending
            while waiting > 0:
                report = self.consolidate(agent, "drain", now_s)
                if report["status"] != "committed":
                    break
                waiting = self._agents.state(agent).pending
        self.merge("drain", now_s)

    def _nudge(
        self, what: str, task: str, argument: str, dispatch: Callable[[str, str], None], ttl_s: float = _NUDGE_TTL
    ) -> int:
        key = self._keys.nudge(what)
        with redis_errors("take a nudge"):
            taken = self._client.set(key, b"1", nx=True, px=int(ttl_s * 1000))
        if not taken:
            return 0
        try:
            dispatch(task, argument)
        except BaseException:
            self._end_nudge(what)
            raise
        return 1

    def _end_nudge(self, what: str) -> None:
        with redis_errors("end a nudge"):
            self._client.delete(self._keys.nudge(what))

    def _replica(self, config: SonaConfig) -> Replica:
        shape = (config.dim, config.temperature, config.failure_weight)
        if shape not in self._replicas:
            self._replicas[shape] = Replica(self._bank, config)
        return self._replicas[shape]

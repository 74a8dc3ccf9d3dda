"""Keeps one pool as it was ordered: starts its worker again, replaces one that does not work, grows and shrinks it."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from swarm.store.supervisors import PoolReport
from swarm_workers import processes
from swarm_workers.backoff import Backoff
from swarm_workers.ending import Ending
from swarm_workers.limits import Limits
from swarm_workers.orders import PoolOrder
from swarm_workers.poolstate import PoolState, current
from swarm_workers.scaling import Decision, Demand, Load, Scaler
from swarm_workers.steps import PoolSteps
from swarm_workers.vigil import Vigil

logger = logging.getLogger(__name__)
_CONTROL_TIMEOUT = 2.0
_MAX_LINE = 200


class Keeper:
    """One pool of this host. Each call does what can be done at once; nothing is waited for. Times are monotonic."""

    def __init__(self, steps: PoolSteps, pool: str, limits: Limits) -> None:
        self._steps = steps
        self._pool = pool
        self._limits = limits
        self._vigil = Vigil(limits)
        self._backoff = Backoff(limits.settled_s, limits.forget_s)
        self._scaler = Scaler(limits)
        self._decision = Decision(wanted=0, why="")
        self._reaping: Ending | None = None
        self._retiring: dict[int, Ending] = {}
        self._buried = (0, 0.0)
        self._fault = self._refusal = ""
        self._resized_s = 0.0
        self._is_up = False

    def forgive(self, now: float) -> None:
        """Nothing could be seen until now, so nothing that lasted until now counts."""
        self._vigil.forgive(now)

    def refuse(self, why: str) -> None:
        """Its order cannot be read: whatever runs goes on."""
        if why != self._refusal:
            logger.error("pool %s: %s", self._pool, why)
        self._refusal = why

    def report(self, now: float, problem: str = "") -> PoolReport:
        """For those who want to know; `problem` is what kept it from being looked after last time."""
        pause = 0.0 if self._is_up else self._backoff.next_at - now
        return PoolReport(
            pool=self._pool,
            wanted=self._decision.wanted,
            why=self._decision.why,
            failures=self._backoff.failures,
            next_start_s=time.time() + pause if pause > 0.0 else 0.0,
            fault=problem or self._refusal or self._fault,
        )

    def tend(self, order: PoolOrder, states: Sequence[PoolState], queued: int, demand: Demand, now: float) -> None:
        """Do what is due, for a pool whose workers are `states`; `queued` nudges wait for it."""
        self._refusal = ""
        state = current(states)
        for other in states:
            if other is not state:
                self._retire(other, now)
        if state is None or state.status in ("dead", "asleep"):
            self._is_up = False
            self._have_one(order, state, demand, now)
        else:
            self._is_up = True
            self._look_after(order, state, queued, demand, now)

    def _have_one(self, order: PoolOrder, state: PoolState | None, demand: Demand, now: float) -> None:
        """There is no worker: start one, unless it is to sleep, or failed just now."""
        slot = state.slot if state else 0
        if state is not None and state.status == "dead" and not self._was_reaped(state):
            self._bury(state, now)
        self._reaping = None
        found = (
            state.wanted if state is not None and state.status == "dead" and (order.size.min or demand.waiting) else 0
        )
        self._decide(order, Load(wanted=found), demand, now)
        if self._decision.wanted == 0:
            if state is None or state.status == "dead":
                self._steps.starter.sleep(order, slot)
        elif now >= self._backoff.next_at:
            self._start(order, slot, now)

    def _was_reaped(self, state: PoolState) -> bool:
        return self._reaping is not None and self._reaping.pid == state.pid

    def _bury(self, state: PoolState, now: float) -> None:
        """Count the death of a worker, once."""
        if self._buried != (process := (state.pid, state.started_s)):
            self._buried = process
            last = processes.log_tail(self._steps.starter.log(self._pool), 1)[:_MAX_LINE]
            self._fail(f"process {state.pid} has ended; last line of its log: {last}", now)

    def _fail(self, why: str, now: float) -> None:
        pause = self._backoff.failed(now)
        self._fault = why
        logger.warning("pool %s, failure %d, to be started in %g s: %s", self._pool, self._backoff.failures, pause, why)

    def _start(self, order: PoolOrder, slot: int, now: float) -> None:
        try:
            record = self._steps.starter.start(order, self._decision.wanted, slot)
        except OSError as error:
            self._fail(f"cannot start a process: {error.strerror}", now)
            return
        logger.info("pool %s: process %d with %d children", self._pool, record.pid, self._decision.wanted)

    def _look_after(self, order: PoolOrder, state: PoolState, queued: int, demand: Demand, now: float) -> None:
        if self._reaping is not None:
            self._go_on_reaping(order, state, demand, now)
        elif wrong := self._vigil.look(state, queued, now):
            self._buried = (state.pid, state.started_s)
            processes.terminate(state.pid, state.started_s, 0.0)
            self._fail(f"process {state.pid} was replaced: {wrong}", now)
        elif state.status == "running":
            if self._backoff.ran_well(now):
                self._fault = ""
            self._fit(order, state, demand, now)

    def _fit(self, order: PoolOrder, state: PoolState, demand: Demand, now: float) -> None:
        """Give a running worker the size that it should have now."""
        load = Load(wanted=state.wanted, concurrency=state.concurrency, busy=state.active, done=state.done)
        self._decide(order, load, demand, now)
        wanted = self._decision.wanted
        if wanted == 0:
            self._reaping = Ending(self._steps, self._limits, state.pid)
            return
        size = order.size
        if (state.wanted, state.min_size, state.max_size) != (wanted, size.min, size.max):
            self._steps.starter.note(order, wanted, state.slot, state.pid, state.started_s)
        # A heartbeat from before the last command would have it sent a second time.
        if state.concurrency != wanted and state.beat_s > self._resized_s:
            self._steps.control(state, _CONTROL_TIMEOUT).resize(wanted)
            self._resized_s = time.time()

    def _go_on_reaping(self, order: PoolOrder, state: PoolState, demand: Demand, now: float) -> None:
        assert self._reaping is not None
        if self._reaping.pid != state.pid or self._reaping.was_called_back(state):
            self._reaping = None
        elif demand.waiting and not self._reaping.is_final:
            self._steps.unpause(state)
            self._reaping = None
            self._vigil.forgive(now)
        else:
            self._reaping.step(state, now)

    def _retire(self, state: PoolState, now: float) -> None:
        """See a worker off that another one has taken over from, when whoever restarted the pool does not."""
        ending = self._retiring.setdefault(state.pid, Ending(self._steps, self._limits, state.pid))
        if state.status == "asleep" or ending.step(state, now):
            self._steps.starter.remove(state.worker)
            del self._retiring[state.pid]

    def _decide(self, order: PoolOrder, load: Load, demand: Demand, now: float) -> None:
        decision = self._scaler.decide(order.size, load, demand, now)
        if decision.wanted != load.wanted and decision.wanted != self._decision.wanted:
            logger.info("pool %s: %d processes, %s", self._pool, decision.wanted, decision.why)
        self._decision = decision

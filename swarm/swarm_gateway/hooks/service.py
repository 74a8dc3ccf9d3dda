"""The answer to a hook within a deadline, whatever happens behind it.

Reading the payload, the search and all that goes to Redis run in threads of their own. An answer that the deadline cuts
off is empty; the work goes on, and what was told is recorded. After one that was late the next ones are answered empty
at once for a while (the breaker), and recorded, too.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from swarm.errors import InputError, SwarmError
from swarm.services.guard import GuardedSwarm
from swarm.store.hook_sessions import IDLE_S, HookSessionStore
from swarm.telemetry.logs import told
from swarm_agents.breaker import Breaker
from swarm_gateway.gateway import Gateway
from swarm_gateway.hooks import replay
from swarm_gateway.hooks.clients import CLIENTS
from swarm_gateway.hooks.counts import HookCounts
from swarm_gateway.hooks.events import EventKind, HookEvent
from swarm_gateway.hooks.recorder import Recorder
from swarm_gateway.hooks.sessions import Sessions

logger = logging.getLogger(__name__)
THREADS = 8
MAX_WAITING = 1_000
"""Events taken in and not recorded yet; the next one is not taken, and counted."""
TEND_S = 1.0
"""Between two looks for events that waited in the file."""
SWEEP_S = 60.0
"""Between two looks for sessions that nobody ended."""
_AT_ONCE = 100
_Answer = tuple[Mapping[str, Any], str, str]
"""What to say, the event's name, what became of it."""


class HookService:
    """The hooks of one gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self.counts = HookCounts()
        self.breaker = Breaker()
        self._gateway = gateway
        self._store = HookSessionStore(gateway.swarm.client, gateway.swarm.keys)
        self._sessions = Sessions(self._store)
        self._recorder = Recorder(gateway, self._sessions, self.counts)
        self._spool = replay.spool_path(gateway.settings.gateway_socket)
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="swarm-hook")
        self._waiting = 0
        self._replaying = threading.Lock()
        self._stop = threading.Event()
        self._tender = threading.Thread(target=self._tend, name="swarm-hooks-tender", daemon=True)

    async def answer(
        self, client: str, body: bytes, event_id: str, agent: str, asker: GuardedSwarm
    ) -> Mapping[str, Any] | None:
        """What to tell the agent; empty where there is nothing to say, or not in time. Never raises for a payload.

        None if it was not taken, because too many wait.
        """
        began = time.perf_counter()
        if self._waiting >= MAX_WAITING:
            self._count(client, "any", "dropped", 0.0)
            return None
        self._waiting += 1
        loop = asyncio.get_running_loop()
        work = self._pool.submit(self._record, client, body, event_id, agent, asker, time.time())
        work.add_done_callback(lambda _: loop.call_soon_threadsafe(self._recorded))
        said, event, outcome = await self._in_time(work)
        self._count(client, event, outcome, time.perf_counter() - began)
        return said

    def status(self) -> dict[str, Any]:
        """Counts, and how things stand now. Plain values, for JSON."""
        return {
            **self.counts.as_dict(),
            "deadline_s": self._gateway.settings.hook_deadline,
            "breaker": {"open": self.breaker.is_open, "failures": self.breaker.failures},
            "redis": {"open": self._sessions.breaker.is_open, "failures": self._sessions.breaker.failures},
            "sessions": len(self._sessions),
            "waiting": self._waiting,
            "spool_bytes": replay.waiting_bytes(self._spool),
        }

    def start(self) -> None:
        """Take in what waited while no gateway was there, and tend the sessions."""
        self._tender.start()

    def close(self) -> None:
        """Record what was taken in, and end."""
        self._stop.set()
        self._pool.shutdown(wait=True)
        if self._tender.is_alive():
            self._tender.join()

    # The threads' part

    async def _in_time(self, work: Future[_Answer]) -> _Answer:
        if self.breaker.is_open:
            return {}, "any", "bypassed"
        try:
            done = await asyncio.wait_for(
                asyncio.shield(asyncio.wrap_future(work)), self._gateway.settings.hook_deadline
            )
        except TimeoutError as error:
            self.breaker.failed(error)
            return {}, "any", "late"
        self.breaker.succeeded()
        return done

    def _recorded(self) -> None:
        self._waiting -= 1

    def _record(self, client: str, body: bytes, event_id: str, agent: str, asker: GuardedSwarm, at_s: float) -> _Answer:
        """Record an event, and word the answer; what waited in the file was before it."""
        self._replay()
        return self._take_in(client, body, event_id, agent, asker, at_s)

    def _take_in(
        self, client: str, body: bytes, event_id: str, agent: str, asker: GuardedSwarm, at_s: float
    ) -> _Answer:
        """Record one event. Every failure is counted, and none raised."""
        try:
            event = CLIENTS[client].read(client, _json(body), event_id, at_s)
        except InputError as error:
            self.counts.error(error)
            return {}, "any", "bad"
        name = event.name if event.kind is not EventKind.OTHER else "other"
        try:
            said = CLIENTS[client].answer(event, self._recorder.handle(event, asker, agent))
            return said, name, "answered" if said else "silent"
        except SwarmError as error:
            self._noted(event, error)
        except Exception as error:
            # A fault of ours must not become the agent's: it is logged, counted, and shown.
            logger.exception("hook %s of %s", name, client)
            self.counts.error(error)
        return {}, name, "failed"

    def _count(self, client: str, event: str, outcome: str, duration_s: float) -> None:
        self.counts.hook(client, event, outcome, duration_s)
        self._gateway.instruments.hook_seconds.labels(event, outcome).observe(duration_s)

    def _noted(self, event: HookEvent, error: SwarmError) -> None:
        logger.info("hook %s of %s: %s", event.name, event.client, told(error), extra={"content": str(error)})
        self.counts.error(error)

    # The tender's part

    def _tend(self) -> None:
        sweep_at = 0.0
        while True:
            self._replay()
            if time.monotonic() >= sweep_at:
                sweep_at = time.monotonic() + SWEEP_S
                self._sweep()
            if self._stop.wait(TEND_S):
                return

    def _replay(self) -> None:
        """Have the events of the file their effect, in their order; whoever comes meanwhile waits."""
        if not replay.is_waiting(self._spool):
            return
        with self._replaying:
            try:
                while (taken := replay.take(self._spool)) is not None:
                    self._take_in_all(taken)
                    replay.done(taken)
            except OSError as error:
                self.counts.error(error)

    def _take_in_all(self, taken: Path) -> None:
        # The file lies in this user's private directory, as the socket does, where no token is needed.
        whole = self._gateway.guarded(None)
        for event in replay.events(taken):
            if event is None or event.client not in CLIENTS:
                self.counts.did("unusable")
                continue
            self._take_in(event.client, event.body, event.id, event.agent, whole, event.at_s)
            self.counts.did("replayed")

    def _sweep(self) -> None:
        before_s = time.time() - IDLE_S
        whole = self._gateway.guarded(None)
        try:
            for client, session in self._sessions.idle(before_s, _AT_ONCE):
                self._recorder.settle(client, session, whole, before_s)
        except SwarmError as error:
            self.counts.error(error)


def _json(body: bytes) -> object:
    """A body as JSON.

    Raises
    ------
    InputError
        If it is none, or nested too deep.
    """
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InputError(f"a hook's payload must be JSON: {type(error).__name__}") from None

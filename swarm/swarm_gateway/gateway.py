"""`Gateway`: one swarm with its replica, the engines of outside agents, and the swarm as each token may use it."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import Self, TypeVar

from anyio import CapacityLimiter, to_thread

from swarm.errors import StoreUnavailableError, SwarmError
from swarm.services.guard import GuardedSwarm
from swarm.services.guard_hooks import GuardedHooks
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.store.connection import connect
from swarm.telemetry.about import about
from swarm_agents.spool import spool_folder, waiting_agents
from swarm_gateway.dashboard.swarm_map import SwarmMap
from swarm_gateway.engines import Engines
from swarm_gateway.live import LiveFeed
from swarm_gateway.metrics.collectors import ProcessCollectorOfGateway, StoredCollector
from swarm_gateway.metrics.instruments import Instruments
from swarm_gateway.metrics.reading import Readings

logger = logging.getLogger(__name__)
MAX_GUARDS = 1_024
"""Tokens whose owners are remembered; that they still hold is asked at every call."""
FOLLOW_S = 0.25
"""Between two looks at the bank ..."""
TEND_S = 1.0
"""... at what the agents in use learned elsewhere, with a try to send what is spooled ..."""
EXPIRE_S = 60.0
"""... at the tasks that nobody ends ..."""
WAKE_S = 60.0
"""... and into the spools of agents that are not in memory."""
SLOW_AT_ONCE = 2
"""So many operations that take seconds (rewind, forget, backup), and so many readers of the whole bank, run at a time;
the others wait for their turn."""

_T = TypeVar("_T")


class Gateway:
    """What the routes of one process share. Safe to use from several threads.

    Parameters
    ----------
    settings : the swarm, and where to listen; the connection gives up after `hook_timeout`
    """

    def __init__(self, settings: Settings) -> None:
        quick = settings.model_copy(update={"socket_timeout": settings.hook_timeout})
        self.settings = settings
        self.swarm = Swarm(settings, client=connect(quick))
        self.patient = Swarm(settings, client=connect(settings))
        """For operators, whose work may take longer than a hook may wait for Redis."""
        self.engines = Engines(self.swarm, settings.max_engines)
        self.instruments = Instruments()
        self.instruments.registry.register(StoredCollector(Readings(self.swarm)))
        self.instruments.registry.register(ProcessCollectorOfGateway(self.engines))
        self.live = LiveFeed(self.swarm)
        self.map = SwarmMap(self.swarm.bank)
        self._slow, self._reading = CapacityLimiter(SLOW_AT_ONCE), CapacityLimiter(SLOW_AT_ONCE)
        self._whole = GuardedSwarm(self.swarm, None)
        self._guards: OrderedDict[bytes, GuardedSwarm] = OrderedDict()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._tender = threading.Thread(target=self._tend, name="swarm-gateway-tender", daemon=True)

    def guarded(self, token: str | None) -> GuardedSwarm:
        """The swarm as `token` may use it; whole without one.

        Raises
        ------
        TokenError
            If the token is none of this swarm's, or has expired.
        """
        if (known := self.known(token)) is not None:
            return known
        guarded = GuardedSwarm(self.swarm, token)
        with self._lock:
            self._guards[_name_of(token or "")] = guarded
            while len(self._guards) > MAX_GUARDS:
                self._guards.popitem(last=False)
        return guarded

    def known(self, token: str | None) -> GuardedSwarm | None:
        """The same for a token that was seen already, and without asking Redis; None for another one."""
        if token is None:
            return self._whole
        name = _name_of(token)
        with self._lock:
            if (known := self._guards.get(name)) is not None:
                self._guards.move_to_end(name)
        return known

    @contextmanager
    def hooks(self, asker: GuardedSwarm, agent: str, role: str | None = None) -> Iterator[GuardedHooks]:
        """The hooks of an agent that lives here, as `asker` may use them.

        Raises
        ------
        ForbiddenError
            If it may not; then the agent is not made.
        CapacityError
            If as many agents as there is room for are at work.
        """
        asker.require_hooks(agent)
        if role is not None and self.engines.role_of(agent) != role:
            self._give_role(asker, agent, role)
        with self.engines.use(agent, role) as engine, about(agent=agent):
            yield asker.hooks(engine)

    async def slowly(self, work: Callable[[], _T]) -> _T:
        """Run what takes seconds, few at a time, so that hooks do not wait for a thread."""
        return await to_thread.run_sync(work, limiter=self._slow)

    async def reading(self, work: Callable[[], _T]) -> _T:
        """The same for what only reads, and reads much; it does not wait for operations."""
        return await to_thread.run_sync(work, limiter=self._reading)

    @property
    def is_closing(self) -> bool:
        """Whether whoever waits for something is to be answered now."""
        return self._stop.is_set()

    def begin_close(self) -> None:
        """Let nobody wait any longer: the process is told to end. Called on the event loop."""
        self._stop.set()
        self.live.close()

    def start(self) -> None:
        """Load the embedder and the replica, wake the agents that left something in their spools, and tend them."""
        with suppress(SwarmError):
            # What the first hook would else wait for.
            self.swarm.task_type(self.swarm.embed("what comes first"))
            # With Redis away it begins empty; the tender loads it later.
            self.swarm.replica.refresh()
        self._tender.start()
        self.map.start()

    def close(self) -> None:
        """Let all agents go."""
        self._stop.set()
        if self._tender.is_alive():
            self._tender.join()
        self.map.close()
        self.engines.close()
        self.swarm.close()
        self.patient.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _give_role(self, asker: GuardedSwarm, agent: str, role: str) -> None:
        """The role decides which tasks an agent may claim: who may give one is the guard's to say."""
        try:
            asker.register(agent, role)
        except StoreUnavailableError:
            # Hooks fail open; its engine makes the role known when Redis is back.
            if asker.access is not None:
                raise

    def _tend(self) -> None:
        """What no hook has to do then while its caller waits."""
        tasks = [
            _Tending(self.swarm.replica.refresh, FOLLOW_S),
            _Tending(self.engines.refresh, TEND_S),
            _Tending(self.engines.drop_expired, EXPIRE_S),
            _Tending(self._wake, WAKE_S),
        ]
        while not self._stop.wait(FOLLOW_S):
            for task in tasks:
                try:
                    task.do_if_due()
                except SwarmError as error:
                    logger.debug("tending: %s", error)

    def _wake(self) -> None:
        """Take in agents whose process is gone, and whose outcomes wait in a spool of this host."""
        for name in set(waiting_agents(spool_folder(self.settings))) - set(self.engines.names):
            logger.info("outcomes wait in the spool of an agent", extra={"agent": name})
            with self.engines.use(name) as agent:
                agent.refresh()


@dataclass(slots=True)
class _Tending:
    """Something that is done every `every_s` seconds, at once for the first time."""

    work: Callable[[], object]
    every_s: float
    due_at: float = 0.0

    def do_if_due(self) -> None:
        """Do it, if it is time. If it fails it waits as long as after a success."""
        now = time.monotonic()
        if now >= self.due_at:
            self.due_at = now + self.every_s
            self.work()


def _name_of(token: str) -> bytes:
    """What a token is known by here: what is kept in memory is no token."""
    return sha256(token.encode("utf-8", "surrogatepass")).digest()

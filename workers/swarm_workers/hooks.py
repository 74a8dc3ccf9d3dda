"""The hooks around a task, by whatever agent the factory makes: this package knows none itself."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any, Protocol, cast

from swarm.embed.text import check_text
from swarm.errors import RuntimeSetupError, TextError
from swarm.services.receipts import Receipt, ReceiptState
from swarm.services.tasks import ClaimedTask
from swarm.settings import Settings
from swarm.telemetry.logs import told
from swarm.wire.task_records import text_of
from swarm_workers.handlers import Task

logger = logging.getLogger(__name__)
MAX_AGENTS = 64
"""So many agents one process plays at a time; the one not asked for longest makes room."""


class HookedAgent(Protocol):
    """The part of an agent that is needed here."""

    def before_task(self, text: str, *, trajectory_id: str) -> Any: ...
    def after_task(
        self,
        trajectory_id: str,
        *,
        quality: float,
        used: Any,
        output: str,
        route: str,
        latency_ms: float,
        cost: float,
        idempotency_key: str,
    ) -> Receipt: ...
    def flush(self, timeout_s: float) -> bool: ...
    def abandon(self, trajectory_id: str) -> None: ...
    def close(self) -> object: ...


AgentFactory = Callable[[str, str], HookedAgent]
"""Makes the agent of a name and a role."""


def load_factory(name: str, settings: Settings) -> AgentFactory | None:
    """The factory that MODULE:FUNCTION makes of the settings; None without a name."""
    if not name:
        return None
    module, _, function = name.partition(":")
    try:
        make = getattr(import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise RuntimeSetupError(f"cannot load the agent factory {name!r}: {error}") from error
    return cast(AgentFactory, make(settings))


class Agents:
    """The agents that this process plays."""

    def __init__(self, factory: AgentFactory | None) -> None:
        self._factory = factory
        self._agents: OrderedDict[str, HookedAgent] = OrderedDict()

    def get(self, name: str, role: str) -> HookedAgent | None:
        """The agent of that name; None if there is no factory."""
        if self._factory is None:
            return None
        if name not in self._agents:
            self._agents[name] = self._factory(name, role)
            if len(self._agents) > MAX_AGENTS:
                self._agents.popitem(last=False)[1].close()
        self._agents.move_to_end(name)
        return self._agents[name]

    def all(self) -> list[HookedAgent]:
        """Those that it plays now."""
        return list(self._agents.values())


class Hooks:
    """The hooks around one attempt. They fail open: what goes wrong in them is logged, and the task goes on."""

    def __init__(self, agents: Agents, agent: str, claimed: ClaimedTask) -> None:
        self._claimed = claimed
        self._agent: HookedAgent | None = None
        with self._failing_open("first"):
            self._agent = agents.get(agent, claimed.record.role)
        self._trajectory = ""
        self._is_spooled = False
        self._started = time.perf_counter()

    def before(self) -> Any:
        """The advice for the task, or None."""
        if self._agent is None:
            return None
        with self._failing_open("pre-task"):
            # Every attempt has the same trajectory: what one that was killed left open the next one takes over.
            advice = self._agent.before_task(text_of(self._claimed.record), trajectory_id=self._claimed.report_key)
            self._trajectory = advice.trajectory_id
            return advice
        return None

    def report(self, task: Task, quality: float, result: Any = None) -> None:
        """Report the outcome of the task: once, also if another attempt has done so already."""
        if self._agent is None or not self._trajectory:
            return
        if not self._claimed.record.report:
            self.abandon()
            return
        output = task.output
        if not output and task.pattern is None:
            with suppress(TextError):
                output = check_text(result)
        with self._failing_open("post-task"):
            receipt = self._agent.after_task(
                self._trajectory,
                quality=quality,
                used=task.pattern,
                output=output,
                route=task.route,
                cost=task.cost,
                latency_ms=(time.perf_counter() - self._started) * 1e3,
                idempotency_key=self._claimed.report_key,
            )
            self._is_spooled = receipt.state is ReceiptState.SPOOLED

    def flush(self, timeout_s: float) -> None:
        """Send the outcome if it had to be spooled: the agent's next task, which would do so, may be long in coming.

        What cannot be sent within `timeout_s` waits in the spool for that.
        """
        if self._agent is not None and self._is_spooled:
            with self._failing_open("spool"):
                self._agent.flush(timeout_s)

    def abandon(self) -> None:
        """The attempt has no outcome: it will be made again, or nobody wants it."""
        if self._agent is None or not self._trajectory:
            return
        with self._failing_open("abandoning"):
            self._agent.abandon(self._trajectory)

    @contextmanager
    def _failing_open(self, what: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            # All of them, on purpose: whatever is wrong with an agent, the task itself can be done.
            content = {"content": str(error)}
            logger.warning("the %s hook failed, the task goes on: %s", what, told(error), extra=content)

"""An agent's hooks as a token may use them: those of its own agent, and no other's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from swarm.services.gate import Gate
from swarm.services.hits import PatternHit
from swarm.services.receipts import Receipt
from swarm.sona.trajectory import Trajectory


class Hooks(Protocol):
    """What is needed of an agent, which lives above this layer."""

    name: str

    @property
    def before_task(self) -> Callable[..., Any]: ...

    @property
    def step(self) -> Callable[..., None]: ...

    @property
    def after_task(self) -> Callable[..., Receipt]: ...

    def abandon(self, trajectory_id: str) -> None: ...

    def opened(self, trajectory_id: str) -> Trajectory: ...

    def receipt(self, idempotency_key: str) -> Receipt: ...

    def health(self) -> Any: ...


class GuardedHooks:
    """The hooks of one agent. Open trajectories are an agent's own: under another's name their ids are unknown."""

    def __init__(self, agent: Hooks, gate: Gate) -> None:
        self._agent = agent
        self._gate = gate

    def before_task(self, text: str, **options: Any) -> Any:
        """See `Agent.before_task`."""
        self._enter("hooks.before_task", text, options)
        self._gate.name_session(options)
        return self._agent.before_task(text, **options)

    def step(self, trajectory_id: str, reward: float, **options: Any) -> None:
        """See `Agent.step`."""
        self._enter("hooks.step", trajectory_id, options)
        self._agent.step(trajectory_id, reward, **options)

    def after_task(self, trajectory_id: str, **options: Any) -> Receipt:
        """See `Agent.after_task`."""
        self._enter("hooks.after_task", trajectory_id, options)
        if isinstance(used := options.get("used"), PatternHit):
            # By its id: what a hit from outside says of the pattern may be made up.
            options["used"] = used.pattern_id
        return self._agent.after_task(trajectory_id, **options)

    def abandon(self, trajectory_id: str) -> None:
        """See `Agent.abandon`."""
        self._enter("hooks.abandon", trajectory_id)
        self._agent.abandon(trajectory_id)

    def opened(self, trajectory_id: str) -> Trajectory:
        """See `Agent.opened`."""
        self._enter("hooks.opened", trajectory_id)
        return self._agent.opened(trajectory_id)

    def receipt(self, idempotency_key: str) -> Receipt:
        """See `Agent.receipt`."""
        self._enter("hooks.receipt", idempotency_key)
        return self._agent.receipt(idempotency_key)

    def health(self) -> Any:
        """See `Agent.health`."""
        self._enter("hooks.health")
        return self._agent.health()

    def _enter(self, operation: str, *values: object) -> None:
        self._gate.enter(operation, *values)
        self._gate.own(operation, self._agent.name)

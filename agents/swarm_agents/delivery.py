"""The way of outcomes and open trajectories to Redis, or into the spool while Redis is away."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from swarm.errors import CapacityError, QueueFullError, RecordError, StoreUnavailableError
from swarm.services.receipts import Receipt, ReceiptState
from swarm.services.redacted import redacted, redaction_of
from swarm.services.swarm import Swarm
from swarm.sona.trajectory import Trajectory
from swarm.store.outcomes import Origin, Outcome
from swarm.wire.agent_policy import NO_POLICY, AgentPolicy, decode_policy, encode_policy
from swarm.wire.records import decode_trajectory, encode_trajectory
from swarm_agents.breaker import Breaker
from swarm_agents.spool import Spool, Spooled, spool_folder

_AT_ONCE = 100
_REPLAY_S = 0.1
"""How long one replay, and with it a hook, may take: a full spool would hold it up for a minute."""


class Delivery:
    """Delivers for one agent.

    `spooled` counts what waits in the spool, as this process last saw it; `redaction` is what its policy takes out.
    """

    def __init__(self, agent: str, swarm: Swarm, breaker: Breaker) -> None:
        settings = swarm.settings
        self._agent = agent
        self._swarm = swarm
        self._outcomes = swarm.outcomes(agent)
        self._breaker = breaker
        self._spool = Spool(spool_folder(settings) / f"{agent}.sqlite", settings.spool_max_bytes)
        self._behind: CapacityError | None = None
        self._life = self._spool.life
        noted = self._spool.policy
        self._policy = decode_policy(noted) if noted else NO_POLICY
        self.redaction = redaction_of(self._policy)
        self.spooled = len(self._spool)

    @property
    def life(self) -> str:
        """The life of the agent that this process is of, "" while it is not known; see `AgentState.life`."""
        return self._life

    @life.setter
    def life(self, life: str) -> None:
        if life != self._life:
            # First in the file: a process that begins while Redis is away goes on with it.
            self._spool.life = life
            self._life = life

    @property
    def policy(self) -> AgentPolicy:
        """The agent's policy, as its registration said last, to this process or to one before it on this host."""
        return self._policy

    @policy.setter
    def policy(self, policy: AgentPolicy) -> None:
        if policy != self._policy:
            # Likewise first in the file.
            self._spool.policy = encode_policy(policy)
            self._policy, self.redaction = policy, redaction_of(policy)

    def report(self, trajectory: Trajectory, key: str, *, is_registered: bool) -> Receipt:
        """Append an outcome to the agent's stream, or to the spool; durable when this returns.

        What waits in the spool goes first, so that the order is kept: with anything in it, it takes this one too.

        Raises
        ------
        CapacityError
            If a bound is reached (`max_pending`, `spool_max_bytes`); nothing was taken.
        """
        record = encode_trajectory(trajectory)
        if self._behind is not None and not self._breaker.is_open:
            # Spooling on would only hide that nobody keeps up with this agent.
            raise self._behind
        if is_registered and not self.spooled and not self._breaker.is_open:
            try:
                origin = Origin(life=self._life, action=trajectory.action, at_s=trajectory.at_s)
                outcome = Outcome(record=record, idempotency_key=key, trajectory_id=trajectory.id, origin=origin)
                return self._swarm.deliver(self._agent, [outcome])[0]
            except StoreUnavailableError as error:
                self._breaker.failed(error)
        is_new = self._spool.append(key, trajectory.id, record, self._life)
        self.spooled += is_new
        return self._spooled(key, is_new)

    def replay(self) -> None:
        """Send what is spooled, by whichever process of this agent, in order; the next replay sends what is left."""
        deadline = time.monotonic() + _REPLAY_S
        try:
            while time.monotonic() < deadline and (waiting := self._spool.oldest(_AT_ONCE)):
                self._send(waiting)
            self._behind = None
        except CapacityError as error:
            # The rest waits here until workers have caught up (max_pending).
            self._breaker.noted(error)
            self._behind = error
        finally:
            self.spooled = len(self._spool)

    def _send(self, waiting: Sequence[Spooled]) -> None:
        """Append outcomes, then forget what Redis has; killed in between, they are sent again, without effect."""
        outcomes = [self._outcome_of(one) for one in waiting]
        try:
            # What belongs to something that was forgotten is refused and counted there, and goes here, too.
            self._swarm.deliver(self._agent, outcomes)
        except QueueFullError as error:
            self._forget(waiting[: error.taken])
            raise
        self._forget(waiting)

    def _outcome_of(self, waiting: Spooled) -> Outcome:
        record, trajectory = waiting.record, _trajectory_of(waiting)
        if trajectory is not None and self.redaction:
            # It was spooled by a process that had never seen Redis, or before the agent had this redaction.
            record = encode_trajectory(redacted(trajectory, self.redaction, self._swarm.embed))
            trajectory = decode_trajectory(record)
        origin = Origin(life=waiting.life)
        if trajectory is not None:
            origin = replace(origin, action=trajectory.action, at_s=trajectory.at_s)
        return Outcome(
            record=record,
            idempotency_key=waiting.idempotency_key,
            trajectory_id=waiting.trajectory_id,
            origin=origin,
        )

    def _forget(self, sent: Sequence[Spooled]) -> None:
        if sent:
            self._spool.remove_until(sent[-1].position)

    def close(self) -> None:
        """Close the spool's file; what waits in it stays there."""
        self._spool.close()

    def spooled_receipt(self, key: str) -> Receipt | None:
        """The receipt of an outcome that waits in the spool, or None."""
        return self._spooled(key, True) if self._spool.holds(key) else None

    def remember(self, trajectory: Trajectory) -> bool:
        """Keep an open trajectory in Redis, so that another process of this agent can end it; False if it is away."""
        if self._breaker.is_open:
            return False
        try:
            self._outcomes.put_open(trajectory.id, encode_trajectory(trajectory), self._life)
        except StoreUnavailableError as error:
            self._breaker.failed(error)
            return False
        except CapacityError as error:
            # This process knows the trajectory all the same; only another one could not end it.
            self._breaker.noted(error)
        return True

    def forget(self, trajectory_id: str) -> None:
        """Remove an open trajectory that will have no outcome."""
        if self._breaker.is_open:
            return
        try:
            self._outcomes.abandon(trajectory_id)
        except StoreUnavailableError as error:
            self._breaker.failed(error)

    def expire(self, trajectory_ids: Sequence[str], before_s: float) -> None:
        """Remove open trajectories that began before `before_s`; with Redis away, workers do it later."""
        if self._breaker.is_open:
            return
        try:
            self._outcomes.expire_open(before_s, trajectory_ids)
        except StoreUnavailableError as error:
            self._breaker.failed(error)

    def recall(self, trajectory_id: str) -> Trajectory | None:
        """An open trajectory that another process of this agent began, or None.

        Raises
        ------
        StoreUnavailableError
            If Redis, the only one who knows, is away.
        """
        if self._breaker.is_open:
            raise StoreUnavailableError(
                f"trajectory_id {trajectory_id:.80} is of another process, and Redis is away: "
                f"{self._breaker.last_error}"
            )
        try:
            stored = self._outcomes.get_open(trajectory_id)
        except StoreUnavailableError as error:
            self._breaker.failed(error)
            raise
        return None if stored is None else decode_trajectory(stored)

    def unconsolidated(self, cursor: str, count: int) -> list[bytes]:
        """Records of this agent's stream behind `cursor`, oldest first, without those that were taken back."""
        forgotten = self._swarm.agents.forgotten(self._agent)
        entries = self._outcomes.read_after(cursor, count)
        return [record for stream_id, record in entries if not forgotten.covers(stream_id)]

    def _spooled(self, key: str, is_new: bool) -> Receipt:
        return Receipt(agent=self._agent, idempotency_key=key, state=ReceiptState.SPOOLED, is_new=is_new)


def _trajectory_of(waiting: Spooled) -> Trajectory | None:
    try:
        return decode_trajectory(waiting.record)
    except RecordError:
        # Consolidation says what is wrong with it.
        return None

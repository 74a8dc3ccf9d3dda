"""Learning what a file brings: round by round, each one a generation of the agent that holds all of the round.

A round is learned by the process that reads the file, under the agent's lease, and its outcomes come with the commit:
they never wait in the stream, so no worker can split a round, and where a round ends hangs on the file alone. How far
the file is stands in the same transaction. So whatever is killed when, a line is learned once, and a run that was
broken comes to the same generations as one that was not.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from swarm.errors import InputError, StaleWriterError
from swarm.services.agent_ageing import rules_under
from swarm.services.background import Background
from swarm.services.consolidate import Consolidation, learn_brought
from swarm.services.replica import Replica
from swarm.services.turn import WAIT_S, registered, turn_at
from swarm.settings import Settings
from swarm.sona.config import SonaConfig
from swarm.sona.trajectory import Trajectory
from swarm.store.agents import AgentStore
from swarm.store.bank import BankStore
from swarm.store.commit import Brought
from swarm.store.connection import Client, clock_s
from swarm.store.outcomes import Origin, Outcome, OutcomeStore
from swarm.store.retention import RetentionStore
from swarm.store.trainings import TrainingStore
from swarm.wire.keys import SwarmKeys
from swarm.wire.records import encode_trajectory
from swarm.wire.training_records import FileProgress, encode_progress

_WHO = "trainer"
_POLL_S = 0.02
_ATTEMPTS = 5
"""So often another writer may come between before a round is given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What came of a round: how far the file is now, and the generation, None if nothing was learned."""

    progress: FileProgress
    consolidation: Consolidation | None


class FileTraining:
    """One file that one agent learns; `file` is its id, `redact` the rules by which its texts are read.

    Raises
    ------
    UnknownIdError
        If no such agent is registered.
    """

    def __init__(
        self,
        settings: Settings,
        client: Client,
        agent: str,
        file: str,
        epochs: int,
        batch: int,
        redact: tuple[str, ...] = (),
    ) -> None:
        keys = SwarmKeys(settings.name)
        self._client = client
        self._agent = agent
        self._file = file
        self._redact = redact
        self._lease_ttl = settings.lease_ttl
        self._receipt_ttl_ms = int(settings.receipt_ttl * 1000)
        self._agents = AgentStore(client, keys)
        self._bank = BankStore(client, keys)
        self._retention = RetentionStore(client, keys)
        self._outcomes = OutcomeStore.of(settings, client, agent)
        self._store = TrainingStore(client, keys.agent(agent))
        self._background = Background(settings, client)
        config = registered(agent, self._agents).config
        self._config: SonaConfig = replace(config, base_epochs=epochs, base_batch=batch)

    def progress(self) -> FileProgress | None:
        """How far the file is, as Redis knows; None if it was never begun."""
        return self._store.find(self._file)

    def note(self, progress: FileProgress) -> None:
        """Say how far the file is, when nothing was learned with it."""
        self._store.write(self._file, progress)

    def learn(self, trajectories: Sequence[Trajectory], before: FileProgress, after: FileProgress) -> Round:
        """Learn a round and publish it, so that the next one, and everybody's queries, build on it.

        Parameters
        ----------
        trajectories : of this agent; the id of each is its idempotency key
        before, after : how far the file is without and with the round

        Raises
        ------
        StaleWriterError
            If others hold the agent's lease for too long, or the file is somewhere else: another process reads it too,
            or Redis has lost what it had acknowledged.
        """
        records = [_outcome(trajectory) for trajectory in trajectories]
        for attempt in range(_ATTEMPTS):
            try:
                done = self._learn(trajectories, records, before, after)
                break
            except StaleWriterError:
                # A commit that was sent twice, because no answer came, has taken effect all the same.
                if (found := self.progress()) is not None and found.lines == after.lines:
                    done = Round(progress=found, consolidation=None)
                    break
                if found != before or attempt == _ATTEMPTS - 1:
                    raise
        self._background.publish(_WHO)
        return done

    def _learn(
        self,
        trajectories: Sequence[Trajectory],
        outcomes: Sequence[Outcome],
        before: FileProgress,
        after: FileProgress,
    ) -> Round:
        self._catch_up()
        with turn_at(self._agent, self._agents, self._lease_ttl) as lease:
            policy = registered(self._agent, self._agents).policy
            if policy.redact != self._redact:
                raise InputError(
                    f"redact of agent {self._agent} must be {', '.join(self._redact) or 'none'}, as when this training "
                    f"began, got {', '.join(policy.redact) or 'none'}: call it again, it goes on"
                )
            if self.progress() != before:
                raise StaleWriterError(f"agent {self._agent}: file {self._file} is not at line {before.lines} any more")
            taken = self._outcomes.untaken(outcomes)
            chosen = [trajectory for trajectory, is_taken in zip(trajectories, taken, strict=True) if is_taken]
            after = replace(
                after, trained=after.trained + len(chosen), refused=after.refused + len(taken) - len(chosen)
            )
            if not chosen:
                self.note(after)
                return Round(progress=after, consolidation=None)
            brought = Brought(
                outcomes=[outcome for outcome, is_taken in zip(outcomes, taken, strict=True) if is_taken],
                file=self._file,
                progress=encode_progress(after),
                receipt_ttl_ms=self._receipt_ttl_ms,
            )
            rules = rules_under(policy, self._retention.rules())
            ageing = rules.at(clock_s(self._client))
            # Loaded anew: sums of float32 hang on the order in which a replica came to its rows, and what is learned
            # must not hang on how long this process has been running.
            replica = Replica(self._bank, self._config)
            done = learn_brought(self._agent, self._config, chosen, brought, self._agents, replica, lease, ageing)
            return Round(progress=after, consolidation=done)

    def _catch_up(self) -> None:
        """Consolidate what the agent itself has reported meanwhile, with its own configuration."""
        deadline = time.monotonic() + WAIT_S
        while self._agents.state(self._agent).pending > 0:
            if self._background.consolidate(self._agent, _WHO, time.time())["status"] == "committed":
                deadline = time.monotonic() + WAIT_S
            elif time.monotonic() >= deadline:
                raise StaleWriterError(f"agent {self._agent}: its outcomes wait for more than {WAIT_S:g} s; try again")
            else:
                time.sleep(_POLL_S)
        self._background.publish(_WHO)


def _outcome(trajectory: Trajectory) -> Outcome:
    return Outcome(
        record=encode_trajectory(trajectory),
        idempotency_key=trajectory.id,
        trajectory_id=trajectory.id,
        origin=Origin(action=trajectory.action, at_s=trajectory.at_s),
    )

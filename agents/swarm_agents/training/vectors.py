"""Who embeds the texts of a file: this process, or the workers of a pool while this process learns."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from swarm.embed.parts import Embedded, embed_part, embedded_from, joined, parts_of
from swarm.errors import InputError, QueueFullError, TaskFailedError, UnknownIdError, WaitTimeoutError
from swarm.services.swarm import Swarm
from swarm.store.connection import clock_s
from swarm.store.workers import WorkerRegistry

ROLE = "trainer"
"""Whose workers embed: `swarm workers start --role trainer --handlers swarm_workers.embedding`."""
PATIENCE_S = 60.0
"""A part that no worker has done after so long is done here."""
_KEPT_S = 60.0
"""A result that was fetched stays so long, for a run that is killed at once."""


def has_trainers(swarm: Swarm) -> bool:
    """Whether a worker of the role is alive, or a pool of it sleeps until there is something to do."""
    registry = WorkerRegistry(swarm.client, swarm.keys)
    alive = (beat.role for beat in registry.alive(clock_s(swarm.client)) if beat.consuming)
    return ROLE in alive or any(pool.role == ROLE and pool.is_asleep for pool in registry.pools())


class Embedding(Protocol):
    """Embeds texts in the order in which they were begun. `begin` returns at once, `finish` waits."""

    def begin(self, key: str, texts: Sequence[str]) -> None:
        """Take texts; `key` is the same for the same texts in every run."""

    def finish(self) -> Embedded:
        """The vectors of the texts that were begun first."""


class LocalEmbedding:
    """Embeds in this process, when it is asked for."""

    def __init__(self, swarm: Swarm) -> None:
        self._embedder = swarm.embedder
        self._begun: deque[Sequence[str]] = deque()
        self.done_here = 0

    def begin(self, key: str, texts: Sequence[str]) -> None:
        self._begun.append(texts)

    def finish(self) -> Embedded:
        parts = [embed_part(self._embedder, part) for part in parts_of(self._begun.popleft())]
        self.done_here += len(parts)
        return joined(parts, self._embedder.identity.dim)


class _Part(NamedTuple):
    """A part, and the task that embeds it; "" if the queue had no room."""

    texts: list[str]
    task: str


class PoolEmbedding:
    """Has the workers of the role `trainer` embed, one task for each part.

    They are sent the texts and answer vectors, so they may be on any host, and no task names a file. What no worker
    does in time, or cannot do, is done here: the vectors are the same.
    """

    def __init__(self, swarm: Swarm, patience_s: float = PATIENCE_S) -> None:
        self._swarm = swarm
        self._embedder = swarm.embedder
        self._patience_s = patience_s
        self._begun: deque[list[_Part]] = deque()
        self._is_alone = False
        """Whether no worker did anything of the last round: then the next ones are not sent out."""
        self.done_here = 0
        """Parts that this process had to embed."""

    def begin(self, key: str, texts: Sequence[str]) -> None:
        parts = enumerate(parts_of(texts))
        self._begun.append([_Part(part, self._submitted(f"{key}/{number}", part)) for number, part in parts])

    def finish(self) -> Embedded:
        parts, found, patience_s, here = self._begun.popleft(), [], self._patience_s, self.done_here
        for part in parts:
            done = self._fetched(part, patience_s)
            if done is None:
                # Who is waited for in vain once is not waited for with every part.
                patience_s = 0.0
                self.done_here += 1
                done = embed_part(self._embedder, part.texts)
            found.append(done)
        self._is_alone = bool(parts) and self.done_here - here == len(parts)
        return joined(found, self._embedder.identity.dim)

    def _submitted(self, key: str, texts: list[str]) -> str:
        if self._is_alone:
            return ""
        try:
            receipt = self._swarm.submit(
                "embed texts of a training file",
                role=ROLE,
                payload={"embedder": str(self._embedder.identity), "texts": texts},
                idempotency_key=f"train/{key}",
                submitter=ROLE,
                max_attempts=5,
                # Nobody is to learn how texts are embedded.
                report=False,
            )
        except QueueFullError:
            return ""
        return receipt.id

    def _fetched(self, part: _Part, patience_s: float) -> Embedded | None:
        """What a worker made of a part; None if none did."""
        if not part.task:
            return None
        try:
            result = self._swarm.tasks.wait(part.task, patience_s)
            self._swarm.tasks.store.let_go(part.task, _KEPT_S)
            return embedded_from(result, len(part.texts), self._embedder.identity.dim)
        except WaitTimeoutError:
            self._swarm.tasks.cancel(part.task, "embedded by the trainer itself")
        except (TaskFailedError, UnknownIdError, InputError):
            # It is dead, or was dropped by an operator.
            pass
        return None

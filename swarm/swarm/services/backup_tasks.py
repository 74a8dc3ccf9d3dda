"""The ledger of tasks in a backup: where every task stands, at one moment, and then what each one is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from swarm.errors import StaleWriterError
from swarm.store.connection import Client, redis_errors
from swarm.store.dump import Dumper
from swarm.store.reply import to_bytes, to_text
from swarm.wire.backup_format import Chunk
from swarm.wire.keys import SwarmKeys

_ATTEMPTS = 5
_PAGE = 50


class TaskSnapshot:
    """Reads the tasks of one swarm; about 500 bytes of memory for each that has not ended.

    One transaction reads all counts, states and queues. What was submitted, and results, never change, so they can be
    read after it, page by page.
    """

    def __init__(self, client: Client, keys: SwarmKeys, dumper: Dumper) -> None:
        self._client = client
        self._keys = keys
        self._dumper = dumper
        self._live: dict[bytes, bytes] = {}
        self._dead: set[bytes] = set()
        self._roles: list[str] = []

    @property
    def count(self) -> int:
        """Tasks that have not ended, or are dead."""
        return len(self._live) + len(self._dead)

    def chunks(self) -> Iterator[Chunk]:
        """The parts of all keys of the ledger.

        Raises
        ------
        StaleWriterError
            If again and again tasks went while they were read.
        """
        for _ in range(_ATTEMPTS):
            zsets, hashes = self._moment()
            records = self._records()
            if records is not None:
                break
        else:
            raise StaleWriterError(f"tasks went {_ATTEMPTS} times while they were read; try again")
        for key, scored in zsets.items():
            yield from self._of(key, "zset", [part for pair in scored for part in pair])
        for key, found in hashes.items():
            yield from self._of(key, "hash", [part for pair in found.items() for part in pair])
        yield from self._of(self._keys.task_records, "hash", records)
        for task in sorted(self._dead):
            yield from self._dumper.key(self._keys.task(task.decode()))

    def has_seen(self, key: bytes) -> bool:
        """Whether a key is part of the ledger as it was, or of what came after.

        Tasks that had ended by then, and are not dead, are neither: they are as they are.
        """
        name = key.partition(b"}:")[2]
        kind, _, rest = name.partition(b":")
        if kind == b"task":
            # A dead one is in no backup unless it was dead at that moment: nothing would ever drop it.
            return rest in self._live or rest in self._dead or int(self._client.pttl(key)) == -1
        return name in _KEYS or kind in _OF_ROLES

    def _moment(self) -> tuple[dict[str, Sequence[Any]], dict[str, dict[bytes, bytes]]]:
        keys = self._keys
        while True:
            roles = self._roles_of(self._client.hkeys(keys.tasks))
            of_zsets = [keys.running, keys.later, keys.deadlines, keys.dead_tasks]
            of_hashes = [keys.tasks, keys.live_tasks, keys.claims]
            for role in roles:
                of_zsets += [keys.turns(role), keys.waiting(role), keys.queued(role), keys.unreported(role)]
                of_hashes += [keys.pace(role), keys.assigned(role)]
            with redis_errors("read the tasks"):
                pipeline = self._client.pipeline(transaction=True)
                for key in of_zsets:
                    pipeline.zrange(key, 0, -1, withscores=True)
                for key in of_hashes:
                    pipeline.hgetall(key)
                found = pipeline.execute()
            zsets = dict(zip(of_zsets, found[: len(of_zsets)], strict=True))
            hashes = dict(zip(of_hashes, found[len(of_zsets) :], strict=True))
            if self._roles_of(hashes[keys.tasks]) == roles:
                self._live = hashes[keys.live_tasks]
                self._dead = {member for member, _ in zsets[keys.dead_tasks]}
                return zsets, hashes

    def _roles_of(self, fields: Any) -> list[str]:
        return sorted({to_text(field).partition("\0")[0] for field in fields})

    def _records(self) -> list[bytes] | None:
        """What was submitted, of every live task; None if one is gone, or a dead one is."""
        keys, live, flat = self._keys, sorted(self._live), []
        for first in range(0, len(live), _PAGE):
            page = live[first : first + _PAGE]
            with redis_errors("read what was submitted"):
                found = list(map(to_bytes, self._client.hmget(keys.task_records, [task.decode() for task in page])))
                for row, (task, record) in enumerate(zip(page, found, strict=True)):
                    if record is None:
                        # It has ended since.
                        found[row] = to_bytes(self._client.hget(keys.task(task.decode()), "record"))
            for task, record in zip(page, found, strict=True):
                if record is None:
                    return None
                flat += [task, record]
        with redis_errors("look for the dead tasks"):
            is_there = [self._client.exists(keys.task(task.decode())) for task in self._dead]
        return flat if all(is_there) else None

    def _of(self, key: str, kind: str, items: list[Any]) -> Iterator[Chunk]:
        if items:
            pages = (items[first : first + 200] for first in range(0, len(items), 200))
            yield from self._dumper.chunks(key, kind, pages)


_KEYS = frozenset({b"tasks", b"livetasks", b"taskrecords", b"running", b"later", b"deadlines", b"claims", b"deadtasks"})
_OF_ROLES = frozenset({b"turns", b"waiting", b"queued", b"unreported", b"pace", b"assigned"})

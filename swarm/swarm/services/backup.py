"""Backup of a swarm to one file, while it runs.

What the file holds is the swarm at one moment for each of its parts, and the parts in such an order that together they
are a state that a running swarm may be in:

1. tasks   in one transaction; the outcome of a task may be there without its end, then it is done again, to no effect
2. bank    under the lease of the merge, with what it contains of whom
3. agents  each under its lease, so that no generation comes in between, up to the last outcome it had by then; an agent
           may be ahead of the bank, which the next merge makes good
4. rest    whatever else the swarm has, key by key

If something was forgotten meanwhile, the backup begins anew: it must not hold half of it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from swarm.errors import StaleWriterError, UnknownIdError
from swarm.services.atomic_file import atomic_file
from swarm.services.backup_tasks import TaskSnapshot
from swarm.services.turn import turn_at, turn_at_bank
from swarm.settings import Settings
from swarm.store.agents import AgentStore
from swarm.store.bank import BankStore
from swarm.store.connection import Client, clock_s, redis_errors
from swarm.store.dump import Dumper, split_key
from swarm.store.migrations import check_swarm
from swarm.store.outcomes import FORGOTTEN_RECEIPT
from swarm.store.reply import stream_position, to_text
from swarm.store.tombstones import TombstoneStore
from swarm.wire.backup_format import BackupWriter, Chunk, Head
from swarm.wire.keys import SwarmKeys

_ATTEMPTS = 3
_PAGE = 500
_OF_BANK = ("meta", "bank", "banklog", "merged", "routing", "fence")


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupReport:
    """What was written. `outcomes` were accepted by then, of all agents, and `tasks` had not ended or are dead."""

    swarm: str
    path: str
    at_s: float
    agents: int
    patterns: int
    outcomes: int
    tasks: int
    keys: int
    size_bytes: int

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


class _ForgottenMeanwhileError(Exception):
    """Something was forgotten while a backup was written."""


def back_up(path: Path, settings: Settings, client: Client) -> BackupReport:
    """Write a backup; the file is there as a whole, for its owner alone, or not at all.

    Raises
    ------
    UnknownIdError
        If there is no such swarm.
    RuntimeSetupError
        If the file cannot be written.
    StaleWriterError
        If others hold a lease for too long, or again and again something is forgotten meanwhile.
    """
    for _ in range(_ATTEMPTS):
        try:
            with atomic_file(path) as file:
                return _Backup(settings, client).write(path, file)
        except _ForgottenMeanwhileError:
            continue
    raise StaleWriterError(f"swarm {settings.name}: {_ATTEMPTS} times something was forgotten meanwhile; try again")


class _Backup:
    def __init__(self, settings: Settings, client: Client) -> None:
        self._keys = SwarmKeys(settings.name)
        self._client = client
        self._lease_ttl = settings.lease_ttl
        self._agents = AgentStore(client, self._keys)
        self._bank = BankStore(client, self._keys)
        self._dumper = Dumper(client, self._keys)
        self._written: set[bytes] = set()
        self._ends: dict[str, str] = {}
        self._outcomes = 0
        self._receipts = 0

    def write(self, path: Path, file: IO[bytes]) -> BackupReport:
        keys, schema, at_s = self._keys, check_swarm(self._client, self._keys), clock_s(self._client)
        stones = TombstoneStore(self._client, keys)
        before = stones.all()
        # The reliabilities come before the verdicts, which keep what they add from being added twice.
        names, others = self._names(), (keys.agents, keys.reliability, keys.spend)
        if not names and not self._client.exists(keys.meta, keys.tasks):
            raise UnknownIdError(f"swarm {keys.swarm} is empty: there is nothing to back up")
        self._writer = BackupWriter(file, Head(swarm=keys.swarm, schema=schema, at_s=at_s))
        tasks = TaskSnapshot(self._client, keys, self._dumper)
        for chunk in tasks.chunks():
            self._put(chunk)
        with turn_at_bank(self._bank, self._lease_ttl):
            for name in _OF_BANK:
                self._dump(f"{{{keys.swarm}}}:{name}")
            patterns = self._bank.count()
        for key in others:
            self._dump(key)
        for name in names:
            self._agent(name)
        self._rest(tasks)
        if stones.all() != before:
            raise _ForgottenMeanwhileError
        self._writer.end()
        return BackupReport(
            swarm=keys.swarm,
            path=str(path),
            at_s=at_s,
            agents=len(names),
            patterns=patterns,
            outcomes=self._outcomes,
            tasks=tasks.count,
            keys=len(self._written) + self._receipts,
            size_bytes=self._writer.size_bytes,
        )

    def _names(self) -> list[str]:
        """Agents that are registered, and those that were: of them it must stay known that they were forgotten."""
        found = set(self._agents.names())
        with redis_errors("look for agents"):
            for key in self._client.scan_iter(match=self._keys.patterns[1], count=_PAGE):
                agent, name = split_key(self._keys, key)
                if name == b"state":
                    found.add(agent)
        return sorted(found)

    def _agent(self, name: str) -> None:
        keys = self._keys.agent(name)
        with turn_at(name, self._agents, self._lease_ttl):
            with redis_errors(f"read agent {name}"):
                # Together: what was accepted is what the stream had by then.
                pipeline = self._client.pipeline(transaction=True)
                pipeline.hgetall(keys.state)
                pipeline.xinfo_stream(keys.stream)
                state, stream = pipeline.execute(raise_on_error=False)
            end = "0-0" if isinstance(stream, Exception) else to_text(stream["last-generated-id"])
            self._ends[name] = end
            self._outcomes += int(state.get(b"accepted", 0))
            flat = [part for pair in state.items() for part in pair]
            if flat:
                for chunk in self._dumper.chunks(keys.state, "hash", [flat]):
                    self._put(chunk)
            if end != "0-0":
                for chunk in self._dumper.key(keys.stream, last_id=end):
                    self._put(chunk)
            for key in (
                *(keys.clusters, keys.weights, keys.learner, keys.sample, keys.routes, keys.log, keys.undo),
                *(keys.forgotten, keys.tombs, keys.open, keys.dead, keys.trainings, keys.fence),
            ):
                self._dump(key)

    def _rest(self, tasks: TaskSnapshot) -> None:
        receipts: list[bytes] = []
        for pattern in self._keys.patterns:
            with redis_errors("look for the rest"):
                for key in self._client.scan_iter(match=pattern, count=_PAGE):
                    agent, name = split_key(self._keys, key)
                    if agent and agent not in self._ends:
                        # It came after its turn would have been.
                        continue
                    if agent and name.startswith(b"receipt:"):
                        receipts.append(key)
                        if len(receipts) >= _PAGE:
                            self._put_receipts(receipts)
                            receipts = []
                    elif key not in self._written and not self._keys.is_transient(key) and not tasks.has_seen(key):
                        self._dump(key)
        self._put_receipts(receipts)

    def _put_receipts(self, keys: list[bytes]) -> None:
        """Those of outcomes that the backup holds; there may be very many, so they are read in one round trip."""
        pipeline = self._client.pipeline(transaction=False)
        for key in keys:
            pipeline.get(key)
            pipeline.pttl(key)
        found = pipeline.execute()
        for key, value, ttl_ms in zip(keys, found[::2], found[1::2], strict=True):
            agent, _ = split_key(self._keys, key)
            if value is not None and ttl_ms != -2 and self._is_within(agent, value):
                for chunk in self._dumper.chunks(key, "string", [[value]], ttl_ms=ttl_ms):
                    self._put(chunk)

    def _is_within(self, agent: str, receipt: bytes) -> bool:
        """Whether the outcome that a receipt stands for is one that the backup holds."""
        stream_id = receipt.decode()
        return stream_id == FORGOTTEN_RECEIPT or stream_position(stream_id) <= stream_position(self._ends[agent])

    def _dump(self, key: str | bytes) -> None:
        for chunk in self._dumper.key(key):
            self._put(chunk)

    def _put(self, chunk: Chunk) -> None:
        tag = f"{self._keys.swarm}/{chunk.agent}" if chunk.agent else self._keys.swarm
        # Receipts are too many to be remembered, and one that comes twice does no harm.
        if not chunk.name.startswith(b"receipt:"):
            self._written.add(f"{{{tag}}}:".encode() + chunk.name)
        else:
            self._receipts += 1
        self._writer.put(chunk)

"""The one way to write a generation of an agent: what it holds, as bytes, in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from swarm.errors import StaleWriterError
from swarm.sona.clusters import is_library
from swarm.sona.standing import Verdict
from swarm.store.connection import Client, redis_errors
from swarm.store.lease import Lease
from swarm.store.outcomes import Outcome
from swarm.store.scripts import COMMIT
from swarm.wire.keys import SwarmKeys
from swarm.wire.memory_records import decode_learner

UNDO_VERSIONS = 50
"""So many versions of an agent, before the current one, can be rolled back to."""
UNDO_BYTES = 32 * 2**20
"""At most so much is kept for that, newest first: an agent whose generations are large reaches back less far."""
DROP = b"-"
"""Instead of a record: there is none any more. No record has one byte."""
_COUNTED_AS = {"promoted": "promotions", "refused": "refusals"}
UNREACHABLE = -1
"""As `since`: nothing before this generation can be rolled back to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """Outcomes that come with the commit that learned them, and how far that brings the file which they are from.

    They never wait: whatever is killed when, they are learned and counted as read, or neither.
    """

    outcomes: Sequence[Outcome]
    file: str
    """The id of the file, a field of `trainings`."""
    progress: bytes
    receipt_ttl_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """What a commit writes: everything that changed since the generation before.

    `values` are whole records by name (those of `VALUES`); one that is not here stays as it is. `since` is the version
    that a rollback of this one leads to, by default the one before; those between cannot be reached any more.
    `newly_skipped` is added to the state's `skipped`. A commit that `is_reset` voids what the agent's processes
    learned by themselves. `rewound` counts outcomes that are taken out or passed over, `settled` are the fields of
    `forgotten` that this generation is free of. `update` is promoted, refused or "": it is counted. `origin` holds
    further fields of the log entry. `imported` counts outcomes that were accepted elsewhere and come with it. With
    `brought` the cursor is the last of the outcomes that come along, if any do.
    """

    cursor: str
    figures: bytes
    keep: int
    processed: int = 0
    removed: Sequence[str] = ()
    put: Mapping[str, bytes] = field(default_factory=dict)
    dead: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, bytes] = field(default_factory=dict)
    since: int | None = None
    newly_skipped: int = 0
    is_reset: bool = False
    rewound: int = 0
    settled: Sequence[str] = ()
    update: str = ""
    origin: Mapping[str, str] = field(default_factory=dict)
    imported: int = 0
    brought: Brought | None = None


class Committer:
    """Commits generations of the agents of one swarm."""

    def __init__(self, client: Client, keys: SwarmKeys) -> None:
        self._keys = keys
        self._script = client.register_script(COMMIT)

    def write(self, name: str, lease: Lease, expected: int, commit: Commit) -> int:
        """Write a generation on top of `expected`; its number.

        Raises
        ------
        StaleWriterError
            If the lease was lost, somebody committed meanwhile, or outcomes wait that those of `brought` would
            overtake; nothing was written.
        """
        keys = self._keys.agent(name)
        brought = commit.brought
        args: list[bytes | str | int] = [
            lease.token,
            expected,
            commit.cursor,
            commit.processed,
            commit.figures,
            commit.keep,
            expected if commit.since is None else commit.since,
            commit.newly_skipped,
            int(commit.is_reset),
            commit.rewound,
            UNDO_VERSIONS,
            UNDO_BYTES,
            _verdict(name, commit.values.get("learner")),
            _COUNTED_AS.get(commit.update, ""),
            commit.imported,
            0 if brought is None else brought.receipt_ttl_ms,
        ]
        outcomes = () if brought is None else brought.outcomes
        args += [len(outcomes)]
        for outcome in outcomes:
            args += (outcome.record, outcome.idempotency_key)
        args += counted_pairs([] if brought is None else [(brought.file, brought.progress)])
        args += counted_pairs(commit.values.items())
        args += counted(commit.removed)
        args += counted_pairs(commit.put.items())
        args += counted_pairs(commit.dead.items())
        args += counted(commit.settled)
        args += counted_pairs(commit.origin.items())
        touched = [
            keys.lease,
            keys.state,
            keys.clusters,
            keys.weights,
            keys.log,
            keys.stream,
            keys.dead,
            keys.undo,
            keys.forgotten,
            keys.learner,
            keys.sample,
            keys.routes,
            keys.trainings,
            *(keys.receipt(outcome.idempotency_key) for outcome in outcomes),
        ]
        with redis_errors(f"commit generation {expected + 1} of {name}"):
            result = int(self._script(keys=touched, args=args))
        if result == -1:
            raise StaleWriterError(f"agent {name}: the lease with token {lease.token} was lost before the commit")
        if result == -2:
            raise StaleWriterError(f"agent {name}: generation {expected} is not the current one any more")
        if result == -3:
            raise StaleWriterError(f"agent {name}: outcomes came in that are to be consolidated first")
        return result


def _verdict(agent: str, learner: bytes | None) -> str:
    """How far the agent is believed by what the generation stores, for the state; "" if that says nothing new."""
    if learner is None:
        return ""
    if learner == DROP:
        return Verdict.PROBATION.value
    return (Verdict.TRUSTED if is_library(agent) else decode_learner(learner).standing.verdict).value


def counted(items: Iterable[str]) -> list[bytes | str | int]:
    """Script arguments: how many, then the items."""
    listed = list(items)
    return [len(listed), *listed]


def counted_pairs(pairs: Iterable[tuple[str, bytes | str]]) -> list[bytes | str | int]:
    """Script arguments: how many, then key and value of each."""
    listed = list(pairs)
    return [len(listed), *(part for pair in listed for part in pair)]

"""Sums over all agents of what was ever counted, for counters that must never fall.

An agent that was forgotten has left `agents`, and what it did has been erased; how much it was stays in its state.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from swarm.errors import DamagedRecordError
from swarm.store.connection import Client, redis_errors
from swarm.store.looks import Looks
from swarm.store.reply import to_hash, to_text
from swarm.store.tombstones import TombstoneStore
from swarm.wire.keys import SwarmKeys

_OF_A_LIFE = ("accepted", "processed", "dead", "rewound", "refused")
_FIELDS = ("cursor", "accepted", "processed", *_OF_A_LIFE[2:], "promotions", "refusals", "expired_open")
_PAST = tuple(f"past_{name}" for name in _OF_A_LIFE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tallies:
    """What was counted for the agents of a swarm, since it began."""

    accepted: int = 0
    """Outcomes that were taken ..."""
    processed: int = 0
    """... those that were consolidated or found dead, or passed over, because they had been taken back ..."""
    dead: int = 0
    rewound: int = 0
    refused: int = 0
    """... and those that were not taken, because they belonged to what was forgotten."""
    promotions: int = 0
    """New weights that were promoted by a consolidation ..."""
    refusals: int = 0
    """... and refused."""
    expired_open: int = 0
    """Tasks that were let go because nobody had ended them."""


def read_tallies(client: Client, keys: SwarmKeys) -> Tallies:
    """Add up, in a few round trips.

    Raises
    ------
    DamagedRecordError
        If what is stored is no number.
    """
    with redis_errors("list the agents"):
        names = {to_text(name) for name in client.hkeys(keys.agents)}
    names |= {stone.id for stone in TombstoneStore(client, keys).all() if stone.kind == "agent"}
    sums = dict.fromkeys((one.name for one in fields(Tallies)), 0)
    for name, look in Looks(client, keys, (*_FIELDS, *_PAST)).at(names):
        for field, value in zip((*_FIELDS[1:], *_PAST), look.values[1:], strict=True):
            sums[field.removeprefix("past_")] += _number(name, value)
    return Tallies(**sums)


def read_replayed(client: Client, keys: SwarmKeys) -> dict[str, int]:
    """How many dead tasks were let wait again, ever, by role."""
    with redis_errors("count the replayed tasks"):
        found = to_hash(client.hgetall(keys.counters))
    return {name.removesuffix("\0replayed"): int(n) for name, n in found.items() if name.endswith("\0replayed")}


def _number(name: str, value: bytes | None) -> int:
    try:
        return int(value or 0)
    except ValueError as error:
        raise DamagedRecordError(f"state of agent {name}: {error}") from error

"""Removal of a whole swarm from Redis."""

from __future__ import annotations

from swarm.store.connection import Client, redis_errors
from swarm.wire.keys import SwarmKeys

_BATCH = 500


def erase_swarm(client: Client, keys: SwarmKeys, keep: frozenset[bytes] = frozenset()) -> int:
    """Remove every key of this swarm, but for those of `keep`, and of no other; how many went."""
    count = 0
    with redis_errors(f"erase the swarm {keys.swarm}"):
        for pattern in keys.patterns:
            batch: list[bytes] = []
            for key in client.scan_iter(match=pattern, count=_BATCH):
                if key in keep:
                    continue
                batch.append(key)
                if len(batch) == _BATCH:
                    count += client.unlink(*batch)
                    batch = []
            count += client.unlink(*batch) if batch else 0
    return count

"""Forward migration of a swarm, step by step: step N makes a swarm of schema N - 1 one of schema N.

A step may be killed anywhere and is then run again, so it must be idempotent; its number is written when it is done.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from swarm.errors import StaleWriterError, StoreUnavailableError
from swarm.store.connection import Client, redis_errors
from swarm.store.lease import Lease
from swarm.store.reply import to_bytes
from swarm.wire.keys import SwarmKeys
from swarm.wire.schema import RESTORING_FIELD, SCHEMA, SCHEMA_FIELD, parse_schema, refuse_unreadable

Step = Callable[[Client, SwarmKeys], None]

_WAIT_S = 60.0
_WAIT_OF_AGENTS_S = 0.25
_POLL_S = 0.02


def _to_1(client: Client, keys: SwarmKeys) -> None:
    """Swarms that are older than schemas.

    What schema 1 adds (`pins`, `tombstones`, `tombs`; `life` and `refused` of a state) is empty at first. But an agent
    whose registration is gone may have left an entry in `merged`, and the merge no longer looks at it.
    """
    with redis_errors("migrate the swarm to schema 1"):
        gone = set(client.hkeys(keys.merged)) - set(client.hkeys(keys.agents))
        if gone:
            client.hdel(keys.merged, *gone)


def _to_2(client: Client, keys: SwarmKeys) -> None:
    """Registrations may hold a template and a policy from schema 2 on.

    Those without are read as having none, so there is nothing to change. The number keeps programs away that know no
    policies: they would store what an agent's redaction takes out, and drop the policy with the next registration.
    """


STEPS: Mapping[int, Step] = {1: _to_1, 2: _to_2}


def check_swarm(client: Client, keys: SwarmKeys) -> int:
    """The schema of a swarm, 0 if it has none yet; refused as in `refuse_unreadable`."""
    with redis_errors("read the swarm's schema"):
        schema, restoring = map(to_bytes, client.hmget(keys.meta, SCHEMA_FIELD, RESTORING_FIELD))
    refuse_unreadable(keys.swarm, schema, restoring)
    return parse_schema(keys.swarm, schema)


def bind_schema(client: Client, keys: SwarmKeys) -> None:
    """Bring a swarm to this program's schema, or give a new swarm that schema.

    Raises
    ------
    RecordError
        If the swarm is newer, or half restored; nothing was written.
    StoreUnavailableError
        If it must be migrated first and others hold the lease of the merge: agents do not wait for that, but spool.
    """
    try:
        migrate(client, keys, wait_s=_WAIT_OF_AGENTS_S)
    except StaleWriterError as error:
        raise StoreUnavailableError(str(error)) from error
    with redis_errors("bind the swarm's schema"):
        client.hsetnx(keys.meta, SCHEMA_FIELD, SCHEMA)


def migrate(
    client: Client,
    keys: SwarmKeys,
    steps: Mapping[int, Step] = STEPS,
    target: int = SCHEMA,
    *,
    wait_s: float = _WAIT_S,
) -> int:
    """Bring a swarm that exists to schema `target`; which schema it has then, 0 if there is no such swarm yet.

    Raises
    ------
    RecordError
        If the swarm is newer, or half restored; nothing was written.
    StaleWriterError
        If others hold the lease of the merge for more than `wait_s` seconds.
    """
    if check_swarm(client, keys) >= target or _is_new(client, keys):
        return check_swarm(client, keys)
    deadline = time.monotonic() + wait_s
    while (found := check_swarm(client, keys)) < target:
        lease = Lease.take(client, keys.lease, keys.fence, _WAIT_S)
        if lease is not None:
            with lease.held():
                _run(client, keys, steps, target)
        elif time.monotonic() >= deadline:
            raise StaleWriterError(
                f"swarm {keys.swarm}: its migration from schema {found} to {target} waits for the lease of the merge "
                f"for more than {wait_s:g} s; try again"
            )
        else:
            time.sleep(_POLL_S)
    return found


def _run(client: Client, keys: SwarmKeys, steps: Mapping[int, Step], target: int) -> None:
    # Read under the lease: another process may have migrated meanwhile.
    for number in range(check_swarm(client, keys) + 1, target + 1):
        steps[number](client, keys)
        with redis_errors(f"note schema {number}"):
            client.hset(keys.meta, SCHEMA_FIELD, number)


def _is_new(client: Client, keys: SwarmKeys) -> bool:
    with redis_errors("look whether the swarm exists"):
        return not client.exists(keys.meta, keys.agents, keys.tasks)

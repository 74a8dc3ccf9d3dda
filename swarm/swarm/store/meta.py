"""What a swarm is bound to: the embedder whose vectors its bank holds."""

from __future__ import annotations

from swarm.embed.identity import EmbedderIdentity, require_same
from swarm.store.connection import Client, redis_errors
from swarm.store.reply import to_bytes
from swarm.wire.codec import encode
from swarm.wire.keys import SwarmKeys
from swarm.wire.records import guarded


def bound_embedder(client: Client, keys: SwarmKeys) -> EmbedderIdentity | None:
    """The embedder of this swarm, or None before its first agent."""
    with redis_errors("read the swarm's embedder"):
        found = to_bytes(client.hget(keys.meta, "embedder"))
    if found is None:
        return None
    return guarded("embedder", found, lambda payload: EmbedderIdentity(**payload))


def bind_embedder(client: Client, keys: SwarmKeys, identity: EmbedderIdentity) -> None:
    """Bind the swarm to this embedder; the first one wins.

    Raises
    ------
    EmbedderMismatchError
        If the swarm is bound to another one; the message names both.
    """
    if (bound := bound_embedder(client, keys)) is not None:
        require_same(bound, identity)
        return
    payload = {"id": identity.id, "dim": identity.dim, "version": identity.version}
    with redis_errors("bind the swarm's embedder"):
        client.hsetnx(keys.meta, "embedder", encode("embedder", payload))
    bound = bound_embedder(client, keys)
    if bound is not None:
        require_same(bound, identity)

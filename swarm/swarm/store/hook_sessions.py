"""Sessions of coding agents in Redis: so that a gateway that starts anew goes on with them."""

from __future__ import annotations

from hashlib import sha256

from swarm.store.connection import Client, redis_errors
from swarm.store.reply import to_bytes, to_text
from swarm.wire.hook_records import SessionRecord, decode_session, encode_session
from swarm.wire.keys import SwarmKeys

IDLE_S = 6 * 3_600.0
"""A session that nothing was heard of for so long has ended."""
TTL_S = 2 * IDLE_S
"""Lifetime of its record, should no gateway be there to end it."""


class HookSessionStore:
    """The sessions of one swarm, by client and the client's own id."""

    def __init__(self, client: Client, keys: SwarmKeys) -> None:
        self._client = client
        self._keys = keys

    def get(self, client: str, session: str) -> SessionRecord | None:
        """A session; None if it is unknown or has ended."""
        return self._read(name_of(client, session))

    def put(self, record: SessionRecord) -> None:
        """Keep a session as it stands now."""
        name, data = name_of(record.client, record.session), encode_session(record)
        with redis_errors("keep a session of hooks"):
            pipeline = self._client.pipeline(transaction=False)
            pipeline.set(self._keys.hook_session(name), data, px=int(TTL_S * 1000))
            pipeline.zadd(self._keys.hook_sessions, {name: record.at_s})
            pipeline.execute()

    def remove(self, client: str, session: str) -> None:
        """Forget a session that has ended."""
        self._remove(name_of(client, session))

    def idle(self, before_s: float, count: int) -> list[SessionRecord]:
        """At most `count` sessions of which nothing was heard since `before_s`, the longest silent first."""
        with redis_errors("look for idle sessions of hooks"):
            names = self._client.zrangebyscore(self._keys.hook_sessions, "-inf", before_s, start=0, num=count)
        found = []
        for name in map(to_text, names):
            record = self._read(name)
            if record is None:
                # Its record has expired: nobody can end it any more.
                self._remove(name)
            else:
                found.append(record)
        return found

    def count(self) -> int:
        """Sessions that have not ended."""
        with redis_errors("count the sessions of hooks"):
            return int(self._client.zcard(self._keys.hook_sessions))

    def _read(self, name: str) -> SessionRecord | None:
        with redis_errors("read a session of hooks"):
            data = to_bytes(self._client.get(self._keys.hook_session(name)))
        return None if data is None else decode_session(data)

    def _remove(self, name: str) -> None:
        with redis_errors("end a session of hooks"):
            pipeline = self._client.pipeline(transaction=False)
            pipeline.delete(self._keys.hook_session(name))
            pipeline.zrem(self._keys.hook_sessions, name)
            pipeline.execute()


def name_of(client: str, session: str) -> str:
    """What a session is called in a key: its id is whatever its client says."""
    return sha256(f"{client}\0{session}".encode()).hexdigest()[:32]

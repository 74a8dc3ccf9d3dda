"""The router in Redis: published statistics, declarations, decisions and sessions."""

from __future__ import annotations

from dataclasses import dataclass

from swarm.errors import StaleWriterError
from swarm.sona.routing.declared import DeclaredRoute
from swarm.store.connection import Client, redis_errors
from swarm.store.lease import Lease
from swarm.store.reply import to_bytes, to_entries, to_hash
from swarm.store.route_scripts import PUBLISH_ROUTES
from swarm.wire.keys import DECISIONS_LENGTH, SwarmKeys
from swarm.wire.route_records import (
    Decision,
    PublishedRoutes,
    Session,
    decode_decision,
    decode_declared,
    decode_published,
    decode_session,
    encode_decision,
    encode_declared,
    encode_published,
    encode_session,
)

SESSION_TTL_S = 86_400
"""A session without a decision for so long begins anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutesVersion:
    """The published statistics with their version."""

    version: str
    published: PublishedRoutes


class RouteStore:
    """What the router of one swarm keeps."""

    def __init__(self, client: Client, keys: SwarmKeys, decision_ttl_s: float) -> None:
        self._client = client
        self._keys = keys
        self._decision_ttl_ms = int(1000 * decision_ttl_s)
        self._publish = client.register_script(PUBLISH_ROUTES)

    def publish(self, lease: Lease, published: PublishedRoutes) -> None:
        """Replace the statistics of the swarm; the caller has the lease of the merge.

        Raises
        ------
        StaleWriterError
            If the lease was lost; nothing was written.
        """
        keys = self._keys
        with redis_errors("publish the statistics of routes"):
            done = self._publish(keys=[keys.lease, keys.routing], args=[lease.token, encode_published(published)])
        if not done:
            raise StaleWriterError(f"the lease with token {lease.token} was lost before the routes were published")

    def published_since(self, version: str | None) -> RoutesVersion | None:
        """The published statistics, or None if they are those of `version`, or there are none."""
        with redis_errors("read the statistics of routes"):
            found = to_bytes(self._client.hget(self._keys.routing, "version"))
            if found is None or found.decode() == version:
                return None
            # Together, so that the version is that of the record.
            number, record = self._client.hmget(self._keys.routing, "version", "record")
        data = to_bytes(record)
        if data is None:
            return None
        return RoutesVersion(version=(to_bytes(number) or b"").decode(), published=decode_published(data))

    def declare(self, declared: DeclaredRoute) -> None:
        """Say what a route is expected to be; it replaces what was said before."""
        with redis_errors(f"declare route {declared.name}"):
            self._client.hset(self._keys.models, declared.name, encode_declared(declared))

    def forget(self, name: str) -> bool:
        """Take a declaration back; False if there was none."""
        with redis_errors(f"forget route {name}"):
            return bool(self._client.hdel(self._keys.models, name))

    def declared(self) -> dict[str, DeclaredRoute]:
        """All declarations by name."""
        with redis_errors("list the declared routes"):
            found = to_hash(self._client.hgetall(self._keys.models))
        return {name: decode_declared(data) for name, data in sorted(found.items())}

    def keep(self, decision: Decision, session: Session | None) -> None:
        """Keep a decision for a while, and the session's route with it."""
        with redis_errors("keep a decision"):
            pipeline = self._client.pipeline(transaction=False)
            pipeline.set(self._keys.decision(decision.id), encode_decision(decision), px=self._decision_ttl_ms)
            pipeline.xadd(self._keys.decisions, {"d": decision.id}, maxlen=DECISIONS_LENGTH, approximate=True)
            if session is not None:
                pipeline.set(self._keys.session(decision.session), encode_session(session), ex=SESSION_TTL_S)
            pipeline.execute()

    def decision(self, decision_id: str) -> Decision | None:
        """A decision that is still kept, or None."""
        with redis_errors("read a decision"):
            found = to_bytes(self._client.get(self._keys.decision(decision_id)))
        return None if found is None else decode_decision(found)

    def latest(self, count: int) -> list[Decision]:
        """The latest decisions that are still kept, newest first."""
        with redis_errors("list the latest decisions"):
            listed = to_entries(self._client.xrevrange(self._keys.decisions, count=count))
            names = [self._keys.decision(fields[b"d"].decode()) for _, fields in listed]
            found = map(to_bytes, self._client.mget(names) if names else [])
        return [decode_decision(data) for data in found if data is not None]

    def session(self, session: str) -> Session:
        """What a session has; a new one has nothing."""
        with redis_errors("read a session"):
            found = to_bytes(self._client.get(self._keys.session(session)))
        return Session() if found is None else decode_session(found)

    def put_session(self, session: str, value: Session) -> None:
        """Remember what a session has."""
        with redis_errors("write a session"):
            self._client.set(self._keys.session(session), encode_session(value), ex=SESSION_TTL_S)

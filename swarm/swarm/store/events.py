"""The stream of events of a swarm: read page by page, from anywhere in it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from swarm.errors import RecordError
from swarm.store.connection import Client, redis_errors
from swarm.store.event_scripts import PUBLISH_EVENT
from swarm.store.reply import stream_position, to_entries, to_text
from swarm.wire.event_records import decode_event, encode_event
from swarm.wire.event_types import Body, Unreadable
from swarm.wire.keys import SwarmKeys

BEGINNING = "0-0"
"""Before the first event."""
PAGE = 200
"""Events that are fetched at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened. `id` is its place in the stream: to go on behind it, give it to `after`."""

    id: str
    body: Body

    @property
    def type(self) -> str:
        """Such as learn:complete."""
        return self.body.type

    @property
    def at_s(self) -> float:
        """When it was told, seconds since the epoch, by Redis's clock."""
        return stream_position(self.id)[0] / 1000.0

    @property
    def number(self) -> int:
        """How many were told up to this one, since the stream began."""
        return stream_position(self.id)[1]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        body: Any = self.body
        return {"id": self.id, "at_s": self.at_s, "type": self.type, "body": asdict(body)}


class EventStore:
    """The events of one swarm."""

    def __init__(self, client: Client, keys: SwarmKeys) -> None:
        self._client = client
        self._keys = keys
        self._publish = client.register_script(PUBLISH_EVENT)

    def publish(self, body: Body) -> str:
        """Append an event; its id."""
        record = encode_event(body)
        with redis_errors(f"tell of {body.type}"):
            return to_text(self._publish(keys=[self._keys.events], args=[body.type, record]))

    def read_after(self, position: str, count: int = PAGE) -> list[Event]:
        """At most `count` events behind a position, oldest first."""
        with redis_errors("read the events"):
            entries = to_entries(self._client.xrange(self._keys.events, min=f"({position}", max="+", count=count))
        return [_event(event_id, fields) for event_id, fields in entries]

    def read_before(self, position: str, count: int = PAGE) -> list[Event]:
        """At most `count` events before a position ("" for the end), newest first."""
        highest = f"({position}" if position else "+"
        with redis_errors("read the events"):
            entries = to_entries(self._client.xrevrange(self._keys.events, max=highest, min="-", count=count))
        return [_event(event_id, fields) for event_id, fields in entries]

    def last_id(self) -> str:
        """The id of the newest event; that of the beginning before the first."""
        newest = self.read_before("", 1)
        return newest[0].id if newest else BEGINNING


def _event(event_id: str, fields: dict[bytes, bytes]) -> Event:
    kind = fields.get(b"t", b"").decode(errors="replace")
    try:
        return Event(id=event_id, body=decode_event(kind, fields.get(b"r", b"")))
    except RecordError as error:
        # One that is not understood must not stop who follows.
        return Event(id=event_id, body=Unreadable(found=kind[:40], why=str(error)[:200]))

"""What a swarm keeps and for how long: its settings, in `meta`, and its pins."""

from __future__ import annotations

from swarm.sona.ageing import AgeingRules, Pins
from swarm.store.connection import Client, clock_s, redis_errors
from swarm.store.reply import to_bytes, to_hash
from swarm.store.retention_scripts import PIN
from swarm.wire.keys import SwarmKeys
from swarm.wire.retention_records import (
    PinRecord,
    Retention,
    check_retention,
    decode_pin,
    decode_retention,
    encode_pin,
    encode_retention,
)

MAX_PINS = 100
"""Pins of one swarm; the next one is refused. Each may keep a cluster of every agent beyond its bound."""
_FIELD = "retention"
_EXPIRED = "expired"


class RetentionStore:
    """The retention of one swarm."""

    def __init__(self, client: Client, keys: SwarmKeys) -> None:
        self._client = client
        self._keys = keys
        self._pin = client.register_script(PIN)

    def read(self) -> Retention:
        """The settings; off by default."""
        with redis_errors("read the retention"):
            found = to_bytes(self._client.hget(self._keys.meta, _FIELD))
        return Retention() if found is None else decode_retention(found)

    def write(self, retention: Retention) -> None:
        """Replace the settings. Without any the field goes, so that the swarm is as one that never had some."""
        check_retention(retention)
        with redis_errors("write the retention"):
            if retention == Retention():
                self._client.hdel(self._keys.meta, _FIELD)
            else:
                self._client.hset(self._keys.meta, _FIELD, encode_retention(retention))

    def expired(self) -> int:
        """How many patterns have expired so far."""
        with redis_errors("count what has expired"):
            return int(self._client.hget(self._keys.meta, _EXPIRED) or 0)

    def pins(self) -> dict[str, PinRecord]:
        """The pins, by the id of the pattern that was pinned."""
        with redis_errors("read the pins"):
            found = to_hash(self._client.hgetall(self._keys.pins))
        return {name: decode_pin(data) for name, data in found.items()}

    def put_pin(self, record: PinRecord) -> bool:
        """Set a pin; False if there are `MAX_PINS` already."""
        with redis_errors("set a pin"):
            done = self._pin(keys=[self._keys.pins], args=[record.pin.id, encode_pin(record), MAX_PINS])
        return bool(done)

    def remove_pin(self, pattern_id: str) -> bool:
        """Remove a pin; False if there is none."""
        with redis_errors("remove a pin"):
            return bool(self._client.hdel(self._keys.pins, pattern_id))

    def rules(self) -> AgeingRules:
        """Settings and pins together, in one round trip."""
        with redis_errors("read the retention"):
            pipeline = self._client.pipeline(transaction=False)
            pipeline.hget(self._keys.meta, _FIELD)
            pipeline.hgetall(self._keys.pins)
            settings, pins = pipeline.execute()
        retention = Retention() if settings is None else decode_retention(settings)
        return AgeingRules(
            half_life_s=retention.half_life_s,
            ttl_s=retention.ttl_s,
            pins=Pins(decode_pin(data).pin for data in to_hash(pins).values()),
        )

    def now_s(self) -> float:
        """The time, by Redis's clock."""
        return clock_s(self._client)

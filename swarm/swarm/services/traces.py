"""What the keys that a swarm shares say beside its bank: decisions of the router, and verdicts of executions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from swarm.errors import RecordError
from swarm.services.execution import OUR_KEY
from swarm.services.verdict import decode_verdict
from swarm.sona.trajectory import Trajectory
from swarm.store.connection import Client, redis_errors
from swarm.store.reply import to_bytes
from swarm.wire.keys import SwarmKeys
from swarm.wire.route_records import decode_decision

_PAGE = 500


class TraceStore:
    """Erases traces of outcomes, or of an agent, in one swarm."""

    def __init__(self, client: Client, keys: SwarmKeys) -> None:
        self._client = client
        self._keys = keys

    def erase_of(self, trajectories: Collection[str], outcomes: Iterable[Trajectory]) -> int:
        """Erase the decisions that outcomes followed, and the verdicts on their executions; how many were there."""
        gone = [self._keys.decision(found) for outcome in outcomes if (found := outcome.context.get("decision"))]
        gone += [self._keys.execution(t.removeprefix(OUR_KEY)) for t in trajectories if t.startswith(OUR_KEY)]
        return self._erase(dict.fromkeys(gone))

    def erase_of_agent(self, agent: str) -> int:
        """Erase the decisions for an agent, the verdicts on executions that it had a part in, and its reliability."""
        count = self._erase_where(self._keys.decision("*"), lambda record: decode_decision(record).agent == agent)
        count += self._erase_where(self._keys.execution("*"), lambda record: agent in decode_verdict(record).agents)
        with redis_errors(f"erase the reliability of {agent}"):
            self._client.hdel(self._keys.reliability, f"{agent}:n", f"{agent}:right")
        return count

    def _erase_where(self, pattern: str, is_meant: Callable[[bytes], bool]) -> int:
        count, batch = 0, []
        with redis_errors("look for traces"):
            for key in self._client.scan_iter(match=pattern, count=_PAGE):
                batch.append(key)
                if len(batch) >= _PAGE:
                    count += self._erase_meant(batch, is_meant)
                    batch = []
            return count + self._erase_meant(batch, is_meant)

    def _erase_meant(self, keys: list[bytes], is_meant: Callable[[bytes], bool]) -> int:
        if not keys:
            return 0
        records = map(to_bytes, self._client.mget(keys))
        gone = [
            key for key, record in zip(keys, records, strict=True) if record is not None and _says(record, is_meant)
        ]
        return int(self._client.unlink(*gone)) if gone else 0

    def _erase(self, keys: Iterable[str]) -> int:
        listed = list(keys)
        with redis_errors("erase traces"):
            return int(self._client.unlink(*listed)) if listed else 0


def _says(record: bytes, is_meant: Callable[[bytes], bool]) -> bool:
    try:
        return is_meant(record)
    except RecordError:
        # Nobody can read whose it is: it goes rather than stays.
        return True

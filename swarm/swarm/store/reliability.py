"""How reliable each agent has proved in a swarm, and the verdicts on what they did together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from swarm.errors import DamagedRecordError, InputError
from swarm.sona.consensus import Reliability, check_reliability
from swarm.store.connection import Client, redis_errors
from swarm.store.reply import to_bytes, to_hash
from swarm.store.scripts import JUDGE
from swarm.wire.keys import SwarmKeys


class ReliabilityStore:
    """The reliabilities of one swarm: sums, to which each execution adds once."""

    def __init__(self, client: Client, keys: SwarmKeys, *, verdict_ttl: float) -> None:
        self._client = client
        self._keys = keys
        self._verdict_ttl_ms = int(verdict_ttl * 1000)
        self._judge = client.register_script(JUDGE)

    def read(self) -> dict[str, Reliability]:
        """What is known, by agent."""
        with redis_errors("read the reliabilities"):
            found = to_hash(self._client.hgetall(self._keys.reliability))
        sums: dict[str, dict[str, float]] = defaultdict(dict)
        try:
            for field, value in found.items():
                agent, _, name = field.rpartition(":")
                sums[agent][name] = float(value)
            return {agent: check_reliability(Reliability(**values)) for agent, values in sums.items()}
        except (TypeError, ValueError, InputError) as error:
            raise DamagedRecordError(f"reliabilities: {error}") from error

    def find(self, execution: str) -> bytes | None:
        """The verdict on an execution, or None before the first one."""
        with redis_errors("look up a verdict"):
            return to_bytes(self._client.get(self._keys.execution(execution)))

    def judge(self, execution: str, verdict: bytes, credits: Mapping[str, Reliability]) -> bytes:
        """Keep the verdict on an execution and add the credits, both once; the verdict that holds, the first one."""
        args: list[bytes | str | int] = [verdict, self._verdict_ttl_ms, *_increments(credits)]
        with redis_errors("keep a verdict"):
            kept = self._judge(keys=[self._keys.execution(execution), self._keys.reliability], args=args)
        found = to_bytes(kept)
        assert found is not None
        return found


def _increments(credits: Mapping[str, Reliability]) -> Iterator[str]:
    for agent, credit in credits.items():
        yield from (f"{agent}:n", repr(credit.n), f"{agent}:right", repr(credit.right))

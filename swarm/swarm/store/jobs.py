"""What was decided in a job of several agents: the first decision holds, whoever runs the job, and however often."""

from __future__ import annotations

from swarm.store.connection import Client, redis_errors
from swarm.store.reply import to_hash, to_text
from swarm.wire.keys import SwarmKeys


class JobStore:
    """The decisions of all jobs of one swarm. `ttl` is their lifetime after the last one, in seconds."""

    def __init__(self, client: Client, keys: SwarmKeys, *, ttl: float) -> None:
        self._client = client
        self._keys = keys
        self._ttl_ms = int(ttl * 1000)

    def decide(self, job: str, what: str, value: str) -> str:
        """Decide something, unless it is decided already; what holds."""
        key = self._keys.job(job)
        with redis_errors(f"decide {what} of job {job}"):
            pipeline = self._client.pipeline(transaction=True)
            pipeline.hsetnx(key, what, value)
            pipeline.pexpire(key, self._ttl_ms)
            pipeline.hget(key, what)
            return to_text(pipeline.execute()[2])

    def change(self, job: str, what: str, value: str) -> None:
        """Decide something anew."""
        with redis_errors(f"change {what} of job {job}"):
            self._client.hset(self._keys.job(job), what, value)

    def decided(self, job: str) -> dict[str, str]:
        """All that is decided; empty if the job was never begun, or ended long ago."""
        with redis_errors(f"read the decisions of job {job}"):
            return {what: to_text(value) for what, value in to_hash(self._client.hgetall(self._keys.job(job))).items()}

"""Leases: one writer at a time, with a fencing token that commits are checked against.

A holder that was frozen past its lease may wake up and write: its token no longer stands in the lease key, so
the script that commits refuses it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from swarm.errors import StoreUnavailableError
from swarm.store.connection import Client, redis_errors
from swarm.store.scripts import RELEASE, RENEW


class Lease:
    """A lease on one key; `token` grows with every attempt to take it."""

    __slots__ = ("_client", "_key", "_ttl_ms", "token")

    def __init__(self, client: Client, key: str, token: int, ttl_ms: int) -> None:
        self._client = client
        self._key = key
        self._ttl_ms = ttl_ms
        self.token = token

    @classmethod
    def take(cls, client: Client, key: str, fence: str, ttl: float) -> Lease | None:
        """The lease for `ttl` seconds, or None while somebody else holds it."""
        ttl_ms = int(ttl * 1000)
        with redis_errors(f"take the lease {key}"):
            token = int(client.incr(fence))
            taken = client.set(key, token, nx=True, px=ttl_ms)
        return cls(client, key, token, ttl_ms) if taken else None

    def renew(self) -> bool:
        """Hold on for another full time; False if the lease is lost."""
        with redis_errors(f"renew the lease {self._key}"):
            return bool(self._client.register_script(RENEW)(keys=[self._key], args=[self.token, self._ttl_ms]))

    @contextmanager
    def held(self) -> Iterator[None]:
        """Renew the lease while the block runs, however long, and give it back.

        A process that is frozen or dead renews nothing, so others wait for one time to live at most.
        """
        done = threading.Event()
        keeper = threading.Thread(target=self._keep, args=(done,), name=f"lease {self._key}", daemon=True)
        keeper.start()
        try:
            yield
        finally:
            done.set()
            keeper.join()
            # While Redis is away it expires by itself; that must not hide what the block came to.
            with suppress(StoreUnavailableError):
                self.release()

    def _keep(self, done: threading.Event) -> None:
        while not done.wait(self._ttl_ms / 3000.0):
            with suppress(StoreUnavailableError):
                if not self.renew():
                    return

    def release(self) -> None:
        """Give it back; nothing happens if it is lost already."""
        with redis_errors(f"release the lease {self._key}"):
            self._client.register_script(RELEASE)(keys=[self._key], args=[self.token])

"""How far the files are that an agent learns from; see `services.training`."""

from __future__ import annotations

from swarm.store.connection import Client, redis_errors
from swarm.store.reply import to_bytes
from swarm.wire.keys import AgentKeys
from swarm.wire.training_records import FileProgress, decode_progress, encode_progress


class TrainingStore:
    """The trainings of one agent. A round moves its progress with its commit; what is no outcome is written here."""

    def __init__(self, client: Client, keys: AgentKeys) -> None:
        self._client = client
        self._keys = keys

    def find(self, file: str) -> FileProgress | None:
        """How far a file is, None if it was never begun."""
        with redis_errors(f"read how far {self._keys.agent} has learned a file"):
            found = to_bytes(self._client.hget(self._keys.trainings, file))
        return None if found is None else decode_progress(found)

    def write(self, file: str, progress: FileProgress) -> None:
        """Say how far a file is, when nothing was learned with it."""
        with redis_errors(f"write how far {self._keys.agent} has learned a file"):
            self._client.hset(self._keys.trainings, file, encode_progress(progress))

"""The codebase that an agent has indexed, in Redis: its files, questions about it, and what was said to the answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from swarm.errors import StaleWriterError
from swarm.store.connection import Client, redis_errors
from swarm.store.reply import to_bytes, to_hash
from swarm.wire.code_records import (
    CodeState,
    FileRecord,
    FileState,
    decode_code_state,
    decode_file,
    decode_file_state,
    encode_code_state,
    encode_file_state,
)
from swarm.wire.judgement_records import Asked, Judged, decode_asked, decode_judged, encode_asked, encode_judged
from swarm.wire.keys import SwarmKeys

MAX_ASKED = 2_000
"""Questions whose answers can be judged; at the bound the older half goes."""
MAX_JUDGED = 2_000
"""Judgements that weigh the signs; at the bound the older half goes, and what was learned of it by the bank stays."""
_PAGE = 64
_STATE, _WRITES, _OPEN = "state", "writes", "open"
WRITE_CODE = """
if redis.call('HGET', KEYS[1], 'state') ~= ARGV[1] then return 0 end
local at = 6
for _ = 1, tonumber(ARGV[2]) do
  redis.call('HDEL', KEYS[2], ARGV[at])
  redis.call('HDEL', KEYS[3], ARGV[at])
  at = at + 1
end
for part = 1, 2 do
  for _ = 1, tonumber(ARGV[part + 2]) do
    redis.call('HSET', KEYS[part + 1], ARGV[at], ARGV[at + 1])
    at = at + 2
  end
end
if #ARGV > 5 then redis.call('HINCRBY', KEYS[1], 'writes', 1) end
if ARGV[5] == '1' then redis.call('HDEL', KEYS[1], 'open') end
return 1
"""
"""Files of an index, if it is still the one that is meant; with the last ones it is complete."""


class CodeStore:
    """The index of one agent."""

    def __init__(self, client: Client, keys: SwarmKeys, agent: str) -> None:
        self.agent = agent
        self._client = client
        self._keys = keys.agent(agent)
        self._write = client.register_script(WRITE_CODE)

    def state(self) -> tuple[CodeState | None, int]:
        """What the index is of, None if there is none; and how often it was written."""
        with redis_errors(f"read the codebase of {self.agent}"):
            state, writes = self._client.hmget(self._keys.code_state, [_STATE, _WRITES])
        data = to_bytes(state)
        return None if data is None else decode_code_state(data), int(writes or 0)

    def begin(self, state: CodeState, *, anew: bool) -> None:
        """Say what the index is of from now on, and that it is not complete; with `anew` it begins empty."""
        with redis_errors(f"begin the codebase of {self.agent}"):
            pipeline = self._client.pipeline(transaction=True)
            if anew:
                pipeline.delete(self._keys.code, self._keys.code_files, self._keys.code_asked, self._keys.code_judged)
            pipeline.hset(self._keys.code_state, mapping={_STATE: encode_code_state(state), _OPEN: 1})
            pipeline.hincrby(self._keys.code_state, _WRITES, 1)
            pipeline.execute()

    def resume(self) -> None:
        """Say that the index is not complete, until it is brought up to date."""
        with redis_errors(f"begin the codebase of {self.agent}"):
            self._client.hset(self._keys.code_state, _OPEN, 1)

    def is_complete(self) -> bool:
        """Whether the last run that began came to its end."""
        with redis_errors(f"read the codebase of {self.agent}"):
            return not self._client.hexists(self._keys.code_state, _OPEN)

    def files(self) -> dict[str, FileState]:
        """The files of the index, by path."""
        with redis_errors(f"list the codebase of {self.agent}"):
            found = self._client.hgetall(self._keys.code_files)
        return {path: decode_file_state(data) for path, data in to_hash(found).items()}

    def write(
        self,
        wanted: CodeState,
        records: Mapping[str, bytes | None],
        states: Mapping[str, FileState],
        gone: Sequence[str] = (),
        *,
        is_last: bool = False,
    ) -> None:
        """Write files and what is known of them, remove those that are gone; `is_last` says that the index is complete.

        A record is None where only the state of a file has changed.

        Raises
        ------
        StaleWriterError
            If the index is not `wanted` any more: another run has begun one of another folder, or it was forgotten.
        """
        fresh = {path: data for path, data in records.items() if data is not None}
        known = {path: encode_file_state(state) for path, state in states.items()}
        args: list[Any] = [encode_code_state(wanted), len(gone), len(fresh), len(known), int(is_last), *gone]
        args += chain(*fresh.items(), *known.items())
        with redis_errors(f"write the codebase of {self.agent}"):
            is_written = self._write(keys=[self._keys.code_state, self._keys.code, self._keys.code_files], args=args)
        if not is_written:
            raise StaleWriterError(f"agent {self.agent}: its index is of another folder by now, or was forgotten")

    def records(self, paths: Sequence[str]) -> Iterator[FileRecord]:
        """The records of these files, of those that are there."""
        for start in range(0, len(paths), _PAGE):
            with redis_errors(f"read the codebase of {self.agent}"):
                found = self._client.hmget(self._keys.code, list(paths[start : start + _PAGE]))
            for one in found:
                if (data := to_bytes(one)) is not None:
                    yield decode_file(data)

    def ask(self, question: str, asked: Asked, ttl_s: float) -> None:
        """Remember a question; `ttl_s` seconds after the last one all are forgotten."""
        key = self._keys.code_asked
        with redis_errors(f"keep a question about the codebase of {self.agent}"):
            pipeline = self._client.pipeline(transaction=True)
            pipeline.hset(key, question, encode_asked(asked))
            pipeline.pexpire(key, int(ttl_s * 1_000))
            pipeline.hlen(key)
            count = pipeline.execute()[-1]
            if count > MAX_ASKED:
                times = {name: decode_asked(data).at_s for name, data in to_hash(self._client.hgetall(key)).items()}
                self._client.hdel(key, *_older_half(times))

    def asked(self, question: str) -> Asked | None:
        """A question; None if it is unknown, or was asked long ago."""
        with redis_errors(f"read a question about the codebase of {self.agent}"):
            data = to_bytes(self._client.hget(self._keys.code_asked, question))
        return None if data is None else decode_asked(data)

    def judge(self, answer: str, judged: Judged) -> bool:
        """Keep what was said to an answer; False if something was said to it before, which holds."""
        key = self._keys.code_judged
        with redis_errors(f"judge an answer about the codebase of {self.agent}"):
            is_new = bool(self._client.hsetnx(key, answer, encode_judged(judged)))
            if is_new and self._client.hlen(key) > MAX_JUDGED:
                times = {name: decode_judged(data).at_s for name, data in to_hash(self._client.hgetall(key)).items()}
                self._client.hdel(key, *_older_half(times))
        return is_new

    def count_judged(self) -> int:
        """How many judgements there are."""
        with redis_errors(f"count what was said to the codebase of {self.agent}"):
            return int(self._client.hlen(self._keys.code_judged))

    def judged(self) -> list[Judged]:
        """What was said to answers, in the order of their ids: what is learned of it must not hang on Redis's order."""
        with redis_errors(f"read what was said to the codebase of {self.agent}"):
            found = self._client.hgetall(self._keys.code_judged)
        return [decode_judged(data) for data in to_hash(found).values()]


def _older_half(times: Mapping[str, float]) -> list[str]:
    return sorted(times, key=lambda name: (times[name], name))[: len(times) // 2]

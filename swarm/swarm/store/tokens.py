"""Tokens in Redis: their records, when they were used last, and what is left of their allowances."""

from __future__ import annotations

from swarm.store.connection import Client, clock_s, redis_errors
from swarm.store.reply import to_bytes, to_hash
from swarm.wire.keys import SwarmKeys
from swarm.wire.token_records import TokenRecord, decode_token, encode_token

USE = """
-- keys: tokens, tokenuse, rate   args: token id, its end or 0, calls a second, seconds' worth that may be spent at once
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
-- It may have been revoked since it was read.
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return {-1, ''} end
local expires = tonumber(ARGV[2])
if expires > 0 and expires <= now then return {-1, ''} end
local speed = tonumber(ARGV[3])
local most = math.max(1, speed * tonumber(ARGV[4]))
local seen = redis.call('HMGET', KEYS[3], 'left', 'at')
local left = most
if seen[1] then left = math.min(most, tonumber(seen[1]) + math.max(0, now - tonumber(seen[2])) * speed) end
if left < 1 then return {0, string.format('%.17g', (1 - left) / speed)} end
redis.call('HSET', KEYS[3], 'left', string.format('%.17g', left - 1), 'at', string.format('%.17g', now))
redis.call('PEXPIRE', KEYS[3], math.ceil(1000 * most / speed) + 1000)
redis.call('HSET', KEYS[2], ARGV[1], string.format('%.0f', now * 1000))
return {1, ''}
"""
"""Spend one call: {1, ''}; {0, seconds until there is one}; {-1, ''} if it holds no more.

A token bucket, by Redis's clock. What expires was full again.
"""

REVOKE = """
-- keys: tokens, tokenuse   args: token id
redis.call('HDEL', KEYS[2], ARGV[1])
return redis.call('HDEL', KEYS[1], ARGV[1])
"""
"""Forget a token: 1, or 0 if there is none."""


class TokenStore:
    """The tokens of one swarm."""

    def __init__(self, client: Client, keys: SwarmKeys) -> None:
        self._client = client
        self._keys = keys
        self._use = client.register_script(USE)
        self._revoke = client.register_script(REVOKE)

    def now_s(self) -> float:
        """The time, by Redis's clock."""
        return clock_s(self._client)

    def put(self, record: TokenRecord) -> None:
        """Keep a new token's record."""
        with redis_errors("keep a token"):
            self._client.hset(self._keys.tokens, record.id, encode_token(record))

    def find(self, token: str) -> TokenRecord | None:
        """The record of the token with this id, or None."""
        with redis_errors("look up a token"):
            found = to_bytes(self._client.hget(self._keys.tokens, token))
        return None if found is None else decode_token(found)

    def all(self) -> list[TokenRecord]:
        """All tokens, oldest first, expired ones too."""
        with redis_errors("list the tokens"):
            found = to_hash(self._client.hgetall(self._keys.tokens))
        return sorted(map(decode_token, found.values()), key=lambda record: (record.created_s, record.id))

    def used_s(self) -> dict[str, float]:
        """When each token was used last, seconds since the epoch; one that never was is not there."""
        with redis_errors("read when the tokens were used"):
            found = to_hash(self._client.hgetall(self._keys.token_use))
        return {token: int(milliseconds) / 1000.0 for token, milliseconds in found.items()}

    def use(self, token: str, expires_s: float, whose: str, per_s: float, burst_s: float) -> float | None:
        """Spend one call of an allowance: seconds until there is one, 0.0 if it was spent; None if the token is gone.

        Parameters
        ----------
        token : its id
        expires_s : when it ends, seconds since the epoch; 0 for never
        whose : the name of the allowance
        per_s : calls a second
        burst_s : so many seconds' worth may be spent at once
        """
        with redis_errors("count a call"):
            answer, wait = self._use(
                keys=[self._keys.tokens, self._keys.token_use, self._keys.rate(whose)],
                args=[token, repr(float(expires_s)), repr(float(per_s)), repr(float(burst_s))],
            )
        return None if answer < 0 else 0.0 if answer == 1 else float(wait)

    def revoke(self, token: str) -> bool:
        """Forget a token; False if there is none."""
        with redis_errors("revoke a token"):
            return bool(self._revoke(keys=[self._keys.tokens, self._keys.token_use], args=[token]))

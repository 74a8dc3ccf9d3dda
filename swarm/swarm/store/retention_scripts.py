"""The Lua scripts of retention: each is one transaction, and touches keys of one hash tag only."""

from __future__ import annotations

PIN = """
-- keys: pins   args: pattern id, record, bound
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[3]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 1
"""
"""Set a pin: 1, or 0 if there are too many."""

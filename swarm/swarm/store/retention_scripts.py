"""The Lua scripts of retention: each is one transaction, and touches keys of one hash tag only."""

from __future__ import annotations

from swarm.store.event_scripts import TELL

PIN = """
-- keys: pins   args: pattern id, record, bound
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[3]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 1
"""
"""Set a pin: 1, or 0 if there are too many."""

BURY = (
    TELL
    + """
-- keys: tombstones, agents, events   args: field, record, agent that is forgotten or '', type of the event, its record
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
if ARGV[3] ~= '' then redis.call('HDEL', KEYS[2], ARGV[3]) end
tell(KEYS[3], ARGV[4], ARGV[5])
"""
)
"""Write that something is forgotten, drop the registration of an agent with it, and tell."""

ERASE_OUTCOMES = """
-- keys: lease, state, stream, forgotten   args: token, then stream ids
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return -1 end
local function position(id)
  local time, number = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(time), tonumber(number)
end
local time, number = position(redis.call('HGET', KEYS[2], 'cursor') or '0-0')
local erased, waiting = 0, 0
for i = 2, #ARGV do
  if redis.call('XDEL', KEYS[3], ARGV[i]) == 1 then
    erased = erased + 1
    local t, n = position(ARGV[i])
    if t > time or (t == time and n > number) then
      waiting = waiting + 1
      redis.call('HSET', KEYS[4], ARGV[i], redis.call('HGET', KEYS[2], 'generation') or '0')
    end
  end
end
-- Consolidation will never meet those that waited, so they are counted and settled here.
redis.call('HINCRBY', KEYS[2], 'processed', waiting)
redis.call('HINCRBY', KEYS[2], 'rewound', waiting)
return erased
"""
"""Erase outcomes from a stream: how many were there, or -1 if the lease was lost."""

ERASE_AGENT = """
-- keys: lease, state, stream, log, then those that go
-- args: token, generation, time
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return -1 end
local generation = redis.call('HGET', KEYS[2], 'generation') or '0'
if generation ~= ARGV[2] then return -2 end
-- The stream stays, empty: so ids go on to grow, whatever the clock does.
redis.call('XTRIM', KEYS[3], 'MAXLEN', 0)
redis.call('XTRIM', KEYS[4], 'MAXLEN', 1)
for i = 5, #KEYS do redis.call('DEL', KEYS[i]) end
-- What was counted stays counted: a sum over all agents never falls.
for _, count in ipairs({'accepted', 'processed', 'dead', 'rewound', 'refused'}) do
  redis.call('HINCRBY', KEYS[2], 'past_' .. count, redis.call('HGET', KEYS[2], count) or 0)
  redis.call('HDEL', KEYS[2], count)
end
redis.call('HDEL', KEYS[2], 'verdict', 'silenced')
redis.call('HSET', KEYS[2], 'skipped', generation, 'forgotten_s', ARGV[3])
return redis.call('HINCRBY', KEYS[2], 'life', 1)
"""
"""Erase what an agent has, and begin its next life: its number; -1 if the lease was lost, -2 if it learned again."""

HOLDS = """
-- keys: sample, clusters, undo   args: texts to look for
local function has(value)
  for _, text in ipairs(ARGV) do
    if value and string.find(value, text, 1, true) then return true end
  end
end
if has(redis.call('GET', KEYS[1])) then return 1 end
for i = 2, 3 do
  for _, field in ipairs(redis.call('HKEYS', KEYS[i])) do
    if has(redis.call('HGET', KEYS[i], field)) then return 1 end
  end
end
return 0
"""
"""Whether one of these texts is in what an agent holds, or held at a version that can be rolled back to: 1 or 0."""

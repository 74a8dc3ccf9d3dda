"""The Lua scripts of the router: each is one transaction on keys of the swarm's hash tag."""

from __future__ import annotations

PUBLISH_ROUTES = """
-- keys: lease, routing   args: token, record
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[2], 'record', ARGV[2])
redis.call('HINCRBY', KEYS[2], 'version', 1)
return 1
"""
"""Publish the statistics of routes: 1, or 0 if the lease was lost."""

KEEP = """
-- keys: decision, session, decided, decisions
-- args: decision, its lifetime in ms, session or '', its lifetime in s, route NUL reason, how many of those are counted
--       its id, how many of those are listed
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
if ARGV[3] ~= '' then redis.call('SET', KEYS[2], ARGV[3], 'EX', ARGV[4]) end
local counted, is_new = ARGV[5], redis.call('HEXISTS', KEYS[3], ARGV[5]) == 0
if is_new and redis.call('HLEN', KEYS[3]) >= tonumber(ARGV[6]) then counted = '\\0' end
redis.call('HINCRBY', KEYS[3], counted, 1)
redis.call('XADD', KEYS[4], 'MAXLEN', '~', ARGV[8], '*', 'd', ARGV[7])
"""
"""Keep a decision for a while, and the session's route with it, count it (under NUL, if too many) and list it."""

RESERVE = """
-- keys: budgets, spend, reserve   args: amount, ttl ms, then scopes
local time = redis.call('TIME')
local now = tonumber(time[1])
local taken = {}
for i = 3, #ARGV do
  local scope = ARGV[i]
  local record = redis.call('HGET', KEYS[1], scope)
  if record then
    local budget = cmsgpack.unpack(record)[3]
    local window = math.floor(now / budget.period_s)
    local seen, spent = string.match(redis.call('HGET', KEYS[2], scope) or '', '^(%d+):(.+)$')
    spent = tonumber(seen) == window and tonumber(spent) or 0
    if spent + tonumber(ARGV[1]) > budget.amount then return {0, scope} end
    taken[#taken + 1] = {scope, window, spent}
  end
end
if #taken == 0 then return {1, ''} end
local held = {ARGV[1]}
for _, one in ipairs(taken) do
  redis.call('HSET', KEYS[2], one[1], string.format('%d:%.17g', one[2], one[3] + tonumber(ARGV[1])))
  held[#held + 1] = string.format('%d', one[2])
  held[#held + 1] = one[1]
end
redis.call('SET', KEYS[3], cmsgpack.pack(held), 'PX', ARGV[2])
return {1, ''}
"""
"""Reserve an amount in every budget that applies, or in none: {1, ''}, or {0, the scope that has too little left}."""

SETTLE = """
-- keys: spend, reserve   args: actual amount
local packed = redis.call('GET', KEYS[2])
if not packed then return 0 end
redis.call('DEL', KEYS[2])
local held = cmsgpack.unpack(packed)
local difference = tonumber(ARGV[1]) - tonumber(held[1])
for i = 2, #held, 2 do
  local seen, spent = string.match(redis.call('HGET', KEYS[1], held[i + 1]) or '', '^(%d+):(.+)$')
  if seen == held[i] then
    redis.call('HSET', KEYS[1], held[i + 1], string.format('%s:%.17g', seen, math.max(0, tonumber(spent) + difference)))
  end
end
return 1
"""
"""Put what was spent in place of what was reserved, once: 1, or 0 if nothing is reserved any more."""

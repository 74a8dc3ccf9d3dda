"""The Lua scripts of documents: each is one transaction on keys of the swarm's hash tag.

A document is there if its id is in `documents` and its own key, which Redis lets expire, is there too. What happens to
documents is counted in `collections` and told by `doclog`, one entry each: {put: id}, {gone: id}, or {until: id, at:
ms} when a document was read that lives on for it. Time is Redis's clock.
"""

from __future__ import annotations

_COMMON = """
local collections, documents, doclog = KEYS[1], KEYS[2], KEYS[3]
local collection, length = ARGV[1], ARGV[2]
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local function is_there(key, id)
  return redis.call('ZSCORE', documents, id) and redis.call('EXISTS', key) == 1
end
local function tell(...)
  redis.call('XADD', doclog, 'MAXLEN', length, '*', ...)
  redis.call('HINCRBY', collections, collection .. ':writes', 1)
end
"""

WRITE = (
    _COMMON
    + """
-- keys: collections, documents, doclog, then a document each
-- args: collection, length of the log, bound, whose vectors they are or '', then for each document: id, record or '' to
--       delete it, its life in ms or 0, agent
local most, space = tonumber(ARGV[3]), ARGV[4]
local count, new = redis.call('ZCARD', documents), 0
local bound = redis.call('HGET', collections, collection .. ':space')
if space ~= '' and bound and bound ~= space and count > 0 then return {-1, bound} end
for i = 0, #KEYS - 4 do
  local id, record = ARGV[5 + 4 * i], ARGV[6 + 4 * i]
  if record ~= '' and not redis.call('ZSCORE', documents, id) then new = new + 1 end
end
if new > 0 and count + new > most then return {-2, count} end
local removed = 0
for i = 0, #KEYS - 4 do
  local key = KEYS[4 + i]
  local id, record, ttl, agent = unpack(ARGV, 5 + 4 * i, 8 + 4 * i)
  local was_there = is_there(key, id)
  if record == '' then
    redis.call('DEL', key)
    if redis.call('ZREM', documents, id) == 1 then tell('gone', id) end
    if was_there then removed = removed + 1 end
  else
    -- Microseconds, and one more for each document of a call: the order in which they were first put.
    local at = string.format('%.0f', now + i)
    if not was_there then redis.call('ZADD', documents, at, id) end
    redis.call('DEL', key)
    redis.call('HSET', key, 'record', record, 'updated', at, 'ttl', ttl, 'agent', agent)
    if ttl ~= '0' then redis.call('PEXPIRE', key, ttl) end
    tell('put', id)
  end
end
if redis.call('ZCARD', documents) == 0 then
  redis.call('HDEL', collections, collection .. ':space')
elseif space ~= '' then
  redis.call('HSET', collections, collection .. ':space', space)
end
return {removed, ''}
"""
)
"""Write documents, all or none: {how many of those to delete were there, ''}; {-1, whose vectors the collection holds}
if they are not these; {-2, how many documents there are} if there would be too many."""

READ = (
    _COMMON
    + """
-- keys: collections, documents, doclog, then a document each
-- args: collection, length of the log, then for each document: id, 1 if it is to live on
local now_ms = math.floor(now / 1000)
local found = {now_ms}
for i = 0, #KEYS - 4 do
  local key, id, lives_on = KEYS[4 + i], ARGV[3 + 2 * i], ARGV[4 + 2 * i]
  local entry = false
  if is_there(key, id) then
    local record, updated, ttl = unpack(redis.call('HMGET', key, 'record', 'updated', 'ttl'))
    if lives_on == '1' and ttl ~= '0' then
      redis.call('PEXPIRE', key, ttl)
      tell('until', id, 'at', string.format('%.0f', now_ms + tonumber(ttl)))
    end
    entry = {record, redis.call('ZSCORE', documents, id), updated, ttl, redis.call('PTTL', key)}
  end
  found[i + 2] = entry
end
return found
"""
)
"""Read documents: {now in ms, then for each nil, or {record, created, updated (us), ttl (ms, or 0), what is left}}."""

TIDY = """
-- keys: documents, then a document each   args: their ids
for i = 2, #KEYS do
  if redis.call('EXISTS', KEYS[i]) == 0 then redis.call('ZREM', KEYS[1], ARGV[i - 1]) end
end
return 1
"""
"""Take out of the list what has expired."""

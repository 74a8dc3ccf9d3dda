"""The Lua scripts: each is one transaction, and touches keys of one hash tag only."""

from __future__ import annotations

from swarm.store.event_scripts import TELL

APPEND = """
-- keys: stream, state, open, tombs, then a receipt for each outcome
-- args: max pending, receipt ttl ms,
--       then for each outcome: record, trajectory id, idempotency key, life or '', action, time of the task
local stream, state_key, open, tombs = unpack(KEYS, 1, 4)
local state = redis.call('HMGET', state_key, 'accepted', 'processed', 'life', 'forgotten_s')
local room = tonumber(ARGV[1]) - tonumber(state[1] or '0') + tonumber(state[2] or '0')
local any_tombs = redis.call('EXISTS', tombs) == 1
local function is_forgotten(trajectory, life, action, time)
  if life ~= '' then
    if life ~= (state[3] or '0') then return true end
  elseif state[4] and tonumber(time) <= tonumber(state[4]) then
    return true
  end
  if not any_tombs then return false end
  local dug = redis.call('HMGET', tombs, 't:' .. trajectory, 'a:' .. action)
  return dug[1] or (dug[2] and tonumber(time) <= tonumber(dug[2]))
end
local answers, ended, taken, refused = {}, {}, 0, 0
for i = 1, #KEYS - 4 do
  local receipt = KEYS[4 + i]
  local record, trajectory, key, life, action, time = unpack(ARGV, 6 * i - 3, 6 * i + 2)
  local id = redis.call('GET', receipt)
  local answer = 0
  if id == '-' then
    answer, id = 2, ''
  elseif not id and is_forgotten(trajectory, life, action, time) then
    redis.call('SET', receipt, '-', 'PX', ARGV[2])
    refused = refused + 1
    answer, id = 2, ''
  elseif not id then
    if taken >= room then break end
    id = redis.call('XADD', stream, '*', 'r', record, 'k', key)
    redis.call('SET', receipt, id, 'PX', ARGV[2])
    taken = taken + 1
    answer = 1
  end
  ended[i] = trajectory
  answers[2 * i - 1], answers[2 * i] = answer, id
end
if taken > 0 then redis.call('HINCRBY', state_key, 'accepted', taken) end
if refused > 0 then redis.call('HINCRBY', state_key, 'refused', refused) end
if #ended > 0 then redis.call('HDEL', open, unpack(ended)) end
return answers
"""
"""Append outcomes in order, each once per idempotency key: 1 new, 0 seen before, 2 forgotten; and the stream id, each.

At the first one for which there is no room it stops: the answer is shorter then. Forgotten is what a former life of the
agent reports, what belongs to a trajectory that was forgotten, and what tried an action of a pattern before that was.
Who does not say which life it is of is judged by the time of its task.
"""

COMMIT = """
-- keys: lease, state, clusters, weights, log, stream, dead, undo, forgotten, learner, sample, routes, trainings,
--       then a receipt for each outcome that comes with the commit
-- args: token, generation, cursor, processed, figures, keep,
--       since, newly skipped, is reset, rewound, undo versions, undo bytes, verdict or '', field to count or '',
--       imported, receipt ttl ms, then eight counted lists:
--       (record, idempotency key) of outcomes that come with the commit; (id, record) of trainings to set;
--       (value name, record, or '-' to drop it) to set; cluster ids to remove; (cluster id, record) to put;
--       (stream id, reason) that are dead; fields of forgotten that this generation is free of;
--       (name, value) for the log entry
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return -1 end
local generation = tonumber(redis.call('HGET', KEYS[2], 'generation') or '0')
if generation ~= tonumber(ARGV[2]) then return -2 end
local number = generation + 1
local cursor = ARGV[3]
if ARGV[17] ~= '0' then
  -- They go to the end of the stream, and the cursor with them: nothing that waits may be passed over.
  local counts = redis.call('HMGET', KEYS[2], 'accepted', 'processed')
  if tonumber(counts[1] or '0') > tonumber(counts[2] or '0') then return -3 end
end
local value_keys = {weights = KEYS[4], learner = KEYS[10], sample = KEYS[11], routes = KEYS[12]}

-- What the values were at version `since`: usually the one before this. Those between cannot be reached any more.
local old = {to = generation, clusters = {}, values = {}, skipped = redis.call('HGET', KEYS[2], 'skipped') or '0'}
while old and old.to > tonumber(ARGV[7]) do
  local packed = redis.call('HGET', KEYS[8], old.to)
  if packed then
    local older = cmsgpack.unpack(packed)
    for id, record in pairs(older.clusters) do old.clusters[id] = record end
    for name, value in pairs(older.values) do old.values[name] = value end
    redis.call('HDEL', KEYS[8], old.to)
    old.to, old.skipped = older.to, older.skipped
  else
    redis.call('DEL', KEYS[8])
    old = nil
  end
end
local function keep_cluster(id)
  if old and old.clusters[id] == nil then old.clusters[id] = redis.call('HGET', KEYS[3], id) end
end

local next = 17
local function list(width, use)
  local count = tonumber(ARGV[next])
  next = next + 1
  for i = 1, count do
    use(ARGV[next], ARGV[next + 1], i)
    next = next + width
  end
  return count
end
local brought = list(2, function(record, key, i)
  cursor = redis.call('XADD', KEYS[6], '*', 'r', record, 'k', key)
  redis.call('SET', KEYS[13 + i], cursor, 'PX', ARGV[16])
end)
if brought > 0 then redis.call('HINCRBY', KEYS[2], 'accepted', brought) end
list(2, function(id, record) redis.call('HSET', KEYS[13], id, record) end)
list(2, function(name, value)
  local key = value_keys[name]
  if old and old.values[name] == nil then old.values[name] = redis.call('GET', key) end
  if value == '-' then redis.call('DEL', key) else redis.call('SET', key, value) end
  redis.call('HSET', KEYS[2], name .. '_generation', number)
end)
list(1, function(id)
  keep_cluster(id)
  redis.call('HDEL', KEYS[3], id)
end)
list(2, function(id, record)
  keep_cluster(id)
  redis.call('HSET', KEYS[3], id, record)
end)
local dead = list(2, function(id, reason) redis.call('HSET', KEYS[7], id, reason) end)
list(1, function(field) redis.call('HSET', KEYS[9], field, number) end)
local entry = {'generation', number, 'cursor', cursor, 'figures', ARGV[5]}
list(2, function(name, value)
  entry[#entry + 1] = name
  entry[#entry + 1] = value
end)
redis.call('HSET', KEYS[2], 'generation', number, 'cursor', cursor)
redis.call('HINCRBY', KEYS[2], 'skipped', ARGV[8])
-- What comes from elsewhere was accepted there: it counts as accepted and processed at once, so that none of it waits.
if ARGV[15] ~= '0' then redis.call('HINCRBY', KEYS[2], 'accepted', ARGV[15]) end
redis.call('HINCRBY', KEYS[2], 'processed', ARGV[4] + ARGV[15])
redis.call('HINCRBY', KEYS[2], 'dead', dead)
redis.call('HINCRBY', KEYS[2], 'rewound', ARGV[10])
if ARGV[13] ~= '' then redis.call('HSET', KEYS[2], 'verdict', ARGV[13]) end
if ARGV[14] ~= '' then redis.call('HINCRBY', KEYS[2], ARGV[14], 1) end
if ARGV[9] == '1' then redis.call('HSET', KEYS[2], 'weights_generation', number, 'reset_generation', number) end
redis.call('XADD', KEYS[5], 'MAXLEN', '~', 1000, '*', unpack(entry))

if old then redis.call('HSET', KEYS[8], number, cmsgpack.pack(old)) end
local undos, bytes = redis.call('HKEYS', KEYS[8]), 0
table.sort(undos, function(a, b) return tonumber(a) > tonumber(b) end)
for i, field in ipairs(undos) do
  bytes = bytes + redis.call('HSTRLEN', KEYS[8], field)
  if i > tonumber(ARGV[11]) or bytes > tonumber(ARGV[12]) then redis.call('HDEL', KEYS[8], field) end
end
local counts = redis.call('HMGET', KEYS[2], 'accepted', 'processed')
local pending = tonumber(counts[1] or '0') - tonumber(counts[2] or '0')
-- By what lies behind the cursor, not by counts alone: what was never accepted must not push out what waits.
local excess = redis.call('XLEN', KEYS[6]) - math.max(tonumber(ARGV[6]), pending)
if excess > 0 then
  local behind = redis.call('XRANGE', KEYS[6], '-', cursor, 'COUNT', math.min(excess + 1, 4000))
  if #behind > 0 then redis.call('XTRIM', KEYS[6], 'MINID', '~', behind[#behind][1]) end
end
return number
"""
"""Commit a generation: its number, or -1 if the lease was lost, -2 if the generation moved on, -3 if outcomes wait that
those which come with the commit would overtake.

A new kind of record that a generation writes whole gets its key in `value_keys`: a rollback then gives it back, too.
"""

PUBLISH = (
    TELL
    + """
-- keys: lease, bank, banklog, merged, meta, events
-- args: token, log length, change record, experts, how old all is or '', newly expired, then four counted lists:
--       pattern ids to remove; (pattern id, record) to put; (agent, record) that were merged;
--       (type, record) of events, of which that of the merge gets its version here
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return '' end
local next = 7
local function list(width, use)
  local count = tonumber(ARGV[next])
  next = next + 1
  for i = 1, count do
    use(ARGV[next], ARGV[next + 1])
    next = next + width
  end
end
list(1, function(id) redis.call('HDEL', KEYS[2], id) end)
list(2, function(id, record) redis.call('HSET', KEYS[2], id, record) end)
list(2, function(agent, record) redis.call('HSET', KEYS[4], agent, record) end)
redis.call('HINCRBY', KEYS[5], 'merges', 1)
redis.call('HSET', KEYS[5], 'experts', ARGV[4])
if ARGV[5] == '' then redis.call('HDEL', KEYS[5], 'aged') else redis.call('HSET', KEYS[5], 'aged', ARGV[5]) end
if ARGV[6] ~= '0' then redis.call('HINCRBY', KEYS[5], 'expired', ARGV[6]) end
local version = redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[2], '*', 'c', ARGV[3])
list(2, function(kind, record)
  if kind == 'merge:complete' then
    local merge = cmsgpack.unpack(record)
    merge[3].version = version
    record = cmsgpack.pack(merge)
  end
  tell(KEYS[6], kind, record)
end)
return version
"""
)
"""Publish changes of the bank: the id of the log entry, or '' if the lease was lost."""

REGISTER = (
    TELL
    + """
-- keys: agents, meta, events
-- args: agent, registration, type and record of the event for a new one, and for a known one
local place = redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) == 1 and 3 or 5
redis.call('HINCRBY', KEYS[2], 'registered', 1)
tell(KEYS[3], ARGV[place], ARGV[place + 1])
"""
)
"""Write a registration, and tell."""

OPEN = """
-- keys: open, state, tombs   args: trajectory id, record, bound, life or ''
if ARGV[4] ~= '' and ARGV[4] ~= (redis.call('HGET', KEYS[2], 'life') or '0') then return 2 end
if redis.call('HEXISTS', KEYS[3], 't:' .. ARGV[1]) == 1 then return 2 end
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[3]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 1
"""
"""Remember an open trajectory: 1; 0 if there are too many; 2, and nothing is kept, if it was forgotten."""

EXPIRE_OPEN = """
-- keys: open, state   args: pairs of trajectory id, SHA-1 of the record
local gone = {}
for i = 1, #ARGV, 2 do
  local record = redis.call('HGET', KEYS[1], ARGV[i])
  if record and redis.sha1hex(record) == ARGV[i + 1] then gone[#gone + 1] = ARGV[i] end
end
if #gone > 0 then
  redis.call('HDEL', KEYS[1], unpack(gone))
  redis.call('HINCRBY', KEYS[2], 'expired_open', #gone)
end
return #gone
"""
"""Let go of open trajectories that have expired, and count them: how many. One that changed meanwhile stays."""

JUDGE = """
-- keys: execution, reliability   args: verdict, ttl ms, then pairs: field, increment
local kept = redis.call('GET', KEYS[1])
if kept then return kept end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
for i = 3, #ARGV, 2 do redis.call('HINCRBYFLOAT', KEYS[2], ARGV[i], ARGV[i + 1]) end
return ARGV[1]
"""
"""Keep a verdict and add what it says about its agents, once: the verdict that was kept first."""

RENEW = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""

RELEASE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
"""

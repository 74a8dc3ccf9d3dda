r"""The Lua scripts of the task ledger: each is one transaction on keys of the swarm's hash tag.

All begin with the same keys and arguments:

    keys: tasks, livetasks, taskrecords, running, later, deadlines, claims, deadtasks,
          turns, waiting, queued, pace, task, unreported, assigned, counters, events; and a channel, wakeup
    args: role, task id, lifetime of an ended task in ms, then those of the script

Time is Redis's clock, so that no machine's clock decides about a lease.

A task that has not ended has its state in `livetasks`, and is in exactly one of `waiting` with `queued`, `running` with
`claims`, and `later`. One that has ended is in `task`, and in `deadtasks` if it is dead. `tasks` counts every state, so
that what was submitted is always the sum of the rest.
"""

from __future__ import annotations

from swarm.store.event_scripts import TELL

_COMMON = (
    TELL
    + r"""
local counts, live, records, running, later, deadlines, claims, dead = unpack(KEYS, 1, 8)
local turns, waiting, queued, pace, ended, unreported, assigned, counters, events, wakeup = unpack(KEYS, 9, 18)
local role, id = ARGV[1], ARGV[2]
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000

local function unpacked(packed) return packed and cmsgpack.unpack(packed)[3] or nil end
local function packed(state) return cmsgpack.pack({'task-state', 1, state}) end
local function load() return unpacked(redis.call('HGET', live, id)) end
local function store(state) redis.call('HSET', live, id, packed(state)) end
local function load_ended() return unpacked(redis.call('HGET', ended, 'state')) end
local function count(state, n) redis.call('HINCRBY', counts, role .. '\0' .. state, n) end
local function text(number) return string.format('%.17g', number) end

-- How many tasks that have not ended name an agent.
local function assign(state, n)
  if not state.agent or state.agent == '' then return end
  if redis.call('HINCRBY', assigned, state.agent, n) <= 0 then redis.call('HDEL', assigned, state.agent) end
end

-- Start-time fair queueing: a submitter's turn comes at its virtual time, which each of its tasks moves on by one. One
-- that has nothing waiting stays in `turns` until its time has come: whoever came back sooner would overtake others.
local function enqueue(state)
  state.state = 'waiting'
  redis.call('ZADD', waiting, 0, state.member)
  redis.call('ZADD', queued, state.submitted, id)
  redis.call('ZADD', turns, 'NX', redis.call('HGET', pace, 'virtual') or 0, state.submitter)
  count('waiting', 1)
  -- Wakes an idle pool of the role, unless so many wait that nobody can be idle. If nobody may publish here, or the
  -- message is lost, that costs delay only.
  if redis.call('ZCARD', queued) <= 32 then redis.pcall('PUBLISH', wakeup, '') end
end

-- Takes a task out of wherever it is, so that it can be put somewhere else.
local function leave(state)
  if state.state == 'waiting' then
    redis.call('ZREM', waiting, state.member)
    redis.call('ZREM', queued, id)
  elseif state.state == 'running' then
    redis.call('ZREM', running, id)
    redis.call('HDEL', claims, state.token)
  else
    redis.call('ZREM', later, id)
  end
  count(state.state, -1)
end

local told_as = {succeeded = 'task:done', dead = 'task:dead', cancelled = 'task:cancelled'}
local function finish(state, to, why, result)
  if state.state == 'running' then
    local seen = redis.call('HMGET', pace, 'ended', 'gap')
    if seen[1] then
      local gap = math.min(math.max(now - tonumber(seen[1]), 0), 60)
      redis.call('HSET', pace, 'gap', text(seen[2] and 0.9 * tonumber(seen[2]) + 0.1 * gap or gap))
    end
    redis.call('HSET', pace, 'ended', text(now))
  end
  leave(state)
  assign(state, -1)
  state.state, state.why, state.ended = to, why, now
  redis.call('ZREM', deadlines, id)
  redis.call('HSET', ended, 'state', packed(state), 'record', redis.call('HGET', records, id) or '')
  if result then redis.call('HSET', ended, 'result', result) end
  if to == 'dead' then redis.call('ZADD', dead, text(now), id) else redis.call('PEXPIRE', ended, ARGV[3]) end
  redis.call('HDEL', live, id)
  redis.call('HDEL', records, id)
  count(to, 1)
  local event = {task = id, role = role, agent = state.agent or '', attempts = state.attempts}
  tell(events, told_as[to], cmsgpack.pack({told_as[to], 1, event}))
end

-- Ends a task that is in no worker's hands. If one had it before, that agent has not been told of this end.
local function finish_alone(state, to, why)
  finish(state, to, why)
  if state.attempts == 0 then return end
  redis.call('ZREMRANGEBYSCORE', unreported, '-inf', text(now - tonumber(ARGV[3]) / 1000))
  redis.call('ZADD', unreported, text(now), state.replays == 0 and id or id .. '.' .. text(state.replays))
end

-- Why there is no room for one more task, and in how many seconds there may be; nil if there is.
local function refusal(submitter, of_role, of_submitter)
  local found = redis.call('HMGET', counts, role .. '\0waiting', role .. '\0retrying')
  local tasks = tonumber(found[1] or '0') + tonumber(found[2] or '0')
  local mine = redis.call('ZLEXCOUNT', waiting, '[' .. submitter .. '\0', '(' .. submitter .. '\0\255')
  if tasks < tonumber(of_role) and mine < tonumber(of_submitter) then return nil end
  local seen = redis.call('HMGET', pace, 'ended', 'gap')
  local gap = tonumber(seen[2] or '1')
  -- If nothing has ended for longer than usual, that is the pace.
  if seen[1] then gap = math.max(gap, now - tonumber(seen[1])) end
  if tasks >= tonumber(of_role) then return {-1, text(math.min(math.max(gap, 0.05), 60))} end
  return {-2, text(math.min(math.max(gap * redis.call('ZCARD', turns), 0.05), 60))}
end

-- Tries a task again, or ends it, after an attempt that failed; `delay` is nil for the usual back-off.
local function failed(state, why, again, delay)
  if state.cancelled == 1 then return finish(state, 'cancelled', state.why) end
  if not again or state.attempts >= state.max_attempts then return finish(state, 'dead', why) end
  leave(state)
  state.why = why
  local pause = delay or math.min(state.backoff * 2 ^ (state.attempts - 1), state.max_backoff)
  if pause <= 0 then
    enqueue(state)
  else
    state.state = 'retrying'
    redis.call('ZADD', later, text(now + pause), id)
    count('retrying', 1)
  end
  store(state)
end
"""
)

SUBMIT = (
    _COMMON
    + r"""
-- args: record, submitter, 9 - priority, max attempts, back-off, max back-off, deadline,
--       bound of the role, of the submitter, agent or ''
if redis.call('HEXISTS', live, id) == 1 or redis.call('EXISTS', ended) == 1 then return {0, ''} end
local deadline = tonumber(ARGV[10])
if deadline > 0 and deadline <= now then return {-3, text(now)} end
local refused = refusal(ARGV[5], ARGV[11], ARGV[12])
if refused then return refused end
local sequence = string.format('%016d', redis.call('HINCRBY', pace, 'sequence', 1))
local state = {
  member = table.concat({ARGV[5], ARGV[6], sequence, id}, '\0'), submitter = ARGV[5], submitted = now, attempts = 0,
  max_attempts = tonumber(ARGV[7]), backoff = tonumber(ARGV[8]), max_backoff = tonumber(ARGV[9]), deadline = deadline,
  token = '', worker = '', fraction = 0, note = '', why = '', cancelled = 0, replays = 0, agent = ARGV[13],
}
redis.call('HSET', records, id, ARGV[4])
assign(state, 1)
if deadline > 0 then redis.call('ZADD', deadlines, ARGV[10], id) end
enqueue(state)
store(state)
count('submitted', 1)
return {1, ''}
"""
)
"""Take a task: {1 new | 0 known | -1 the role's queue is full | -2 the submitter's share is | -3 too late, number}."""

CLAIM = (
    _COMMON
    + r"""
-- args: token, worker, lease in seconds; no task id
id = redis.call('HGET', claims, ARGV[4])
if id then return {1, id, redis.call('HGET', records, id), redis.call('HGET', live, id)} end
while true do
  local head = redis.call('ZRANGE', turns, 0, 0, 'WITHSCORES')
  if #head == 0 then return {0} end
  local first = redis.call('ZRANGEBYLEX', waiting, '[' .. head[1] .. '\0', '(' .. head[1] .. '\0\255', 'LIMIT', 0, 1)
  if #first == 0 then
    redis.call('ZREM', turns, head[1])
  else
    id = string.match(first[1], '%z([^%z]+)$')
    local state = load()
    if state.deadline > 0 and state.deadline <= now then return {-1, id} end
    leave(state)
    redis.call('HSET', pace, 'virtual', head[2])
    redis.call('ZADD', turns, text(tonumber(head[2]) + 1), head[1])
    state.state, state.token, state.worker = 'running', ARGV[4], ARGV[5]
    state.attempts, state.fraction, state.note = state.attempts + 1, 0, ''
    redis.call('ZADD', running, text(now + tonumber(ARGV[6])), id)
    redis.call('HSET', claims, ARGV[4], id)
    count('running', 1)
    store(state)
    return {1, id, redis.call('HGET', records, id), redis.call('HGET', live, id)}
  end
end
"""
)
"""Take the task whose turn it is: {1, id, record, state}; {0} if none waits; {-1, id} of one past its deadline.

The same token gets the same task again, while it runs.
"""

RENEW = (
    _COMMON
    + r"""
-- args: token, lease in seconds, fraction or '', note
local state = load()
if not state or state.state ~= 'running' or state.token ~= ARGV[4] then return 'lost' end
if state.cancelled == 1 then return 'cancelled' end
redis.call('ZADD', running, text(now + tonumber(ARGV[5])), id)
if ARGV[6] ~= '' then
  state.fraction, state.note = tonumber(ARGV[6]), ARGV[7]
  store(state)
end
return 'running'
"""
)
"""Hold a task for another lease, and say how far it is: running, or cancelled or lost, and then nothing was changed."""

SUCCEED = (
    _COMMON
    + r"""
-- args: token, result
local state = load()
if not state then
  state = load_ended()
  return state and state.token == ARGV[4] and state.state or 'lost'
end
if state.state ~= 'running' or state.token ~= ARGV[4] then return 'lost' end
if state.cancelled == 1 then
  finish(state, 'cancelled', state.why)
else
  state.fraction = 1
  finish(state, 'succeeded', '', ARGV[5])
end
return state.state
"""
)
"""End a task with its result: succeeded; cancelled, then without a result; or lost, and then nothing was changed."""

FAIL = (
    _COMMON
    + r"""
-- args: token, why, 1 to try again, delay in seconds or ''
local state = load()
if not state then
  state = load_ended()
  return state and state.token == ARGV[4] and state.state or 'lost'
end
if state.token ~= ARGV[4] then return 'lost' end
-- Under this token it failed already, if it does not run.
if state.state == 'running' then failed(state, ARGV[5], ARGV[6] == '1', tonumber(ARGV[7])) end
return state.state
"""
)
"""End an attempt: the state of the task after it, or lost, and then nothing was changed."""

CANCEL = (
    _COMMON
    + r"""
-- args: why
local state = load()
if not state then
  state = load_ended()
  return state and state.state or ''
end
if state.state ~= 'running' then
  finish_alone(state, 'cancelled', ARGV[4])
elseif state.cancelled == 0 then
  state.cancelled, state.why = 1, ARGV[4]
  store(state)
end
return state.state
"""
)
"""Cancel a task: its state after it, running if its worker has yet to stop; '' if there is none."""

DISOWN = (
    _COMMON
    + r"""
-- args: worker
local state = load()
if not state or state.state ~= 'running' or state.worker ~= ARGV[4] then return 0 end
redis.call('ZADD', running, 'XX', text(now), id)
return 1
"""
)
"""End the lease of a task that a worker has: 1, or 0 if it does not have it. The next sweep does the rest."""

TEND = (
    _COMMON
    + r"""
local state = load()
if not state then
  for _, key in ipairs({running, later, deadlines}) do redis.call('ZREM', key, id) end
  local died = redis.call('ZSCORE', dead, id)
  if not died or tonumber(died) + tonumber(ARGV[3]) / 1000 > now then return '' end
  redis.call('ZREM', dead, id)
  redis.call('DEL', ended)
  count('dead', -1)
  count('dropped', 1)
  return 'dropped'
end
local lease, due = redis.call('ZSCORE', running, id), redis.call('ZSCORE', later, id)
-- What its worker says under the token has no effect any more.
local function disown()
  redis.call('HDEL', claims, state.token)
  state.token = ''
end
if state.deadline > 0 and state.deadline <= now then
  disown()
  finish_alone(state, 'dead', 'deadline')
elseif state.state == 'running' and lease and tonumber(lease) <= now then
  disown()
  if state.cancelled == 1 then
    finish_alone(state, 'cancelled', state.why)
  elseif state.attempts >= state.max_attempts then
    local times = state.attempts == 1 and 'once' or string.format('%d times', state.attempts)
    finish_alone(state, 'dead', 'the worker died ' .. times)
  else
    state.why = 'the worker died'
    leave(state)
    enqueue(state)
    store(state)
  end
elseif state.state == 'retrying' and due and tonumber(due) <= now then
  leave(state)
  enqueue(state)
  store(state)
else
  return ''
end
return state.state
"""
)
"""Do what is due for a task, and say to which state it led: '' if nothing was due, 'dropped' for a dead one of old."""

REPLAY = (
    _COMMON
    + r"""
-- args: bound of the role, of the submitter, how often it was replayed before
local state = load() or load_ended()
if not state then return {0, ''} end
if state.replays == tonumber(ARGV[6]) + 1 then return {2, ''} end
if state.state ~= 'dead' or state.replays ~= tonumber(ARGV[6]) then return {0, ''} end
local refused = refusal(state.submitter, ARGV[4], ARGV[5])
if refused then return refused end
redis.call('HSET', records, id, redis.call('HGET', ended, 'record'))
redis.call('DEL', ended)
redis.call('ZREM', dead, id)
count('dead', -1)
redis.call('HINCRBY', counters, role .. '\0replayed', 1)
state.ended, state.attempts, state.deadline, state.submitted, state.token = nil, 0, 0, now, ''
state.cancelled = 0
state.replays = state.replays + 1
assign(state, 1)
enqueue(state)
store(state)
return {1, ''}
"""
)
"""Let a dead task wait again: {1, ''}; {2, ''} if this very replay was made already; {0, ''} if there is no such dead
task; or as `SUBMIT` if there is no room."""

DROP = (
    _COMMON
    + r"""
if redis.call('HEXISTS', live, id) == 1 then return 0 end
local state = load_ended()
if not state then return 2 end
if state.state ~= 'dead' then return 0 end
redis.call('DEL', ended)
redis.call('ZREM', dead, id)
count('dead', -1)
count('dropped', 1)
return 1
"""
)
"""Forget a dead task: 1; 2 if there is no such task any more; 0 if it is not dead."""

HAND_BACK = (
    _COMMON
    + r"""
-- args: token, delay in seconds
local state = load()
if not state or state.state ~= 'running' or state.token ~= ARGV[4] then return 'lost' end
leave(state)
state.state, state.attempts, state.token, state.worker = 'retrying', state.attempts - 1, '', ''
redis.call('ZADD', later, text(now + tonumber(ARGV[5])), id)
count('retrying', 1)
store(state)
return state.state
"""
)
"""Give a task back that was not begun, as if it had not been claimed; it waits again after a while. Or lost."""

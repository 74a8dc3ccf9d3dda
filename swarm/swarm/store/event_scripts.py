"""The Lua part by which every script tells of what it does, in its own transaction, and the script that only tells."""

from __future__ import annotations

from swarm.wire.keys import EVENTS_LENGTH

TELL = rf"""
-- Append an event. Its id is the time in ms, and how many were told before it and with it: so whoever has seen one
-- knows how many came between. The time does not go back, even if the clock does.
local function tell(events, kind, record)
  local last = redis.call('XREVRANGE', events, '+', '-', 'COUNT', 1)[1]
  local time = redis.call('TIME')
  local ms, number = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000), 0
  if last then
    local last_ms, last_number = string.match(last[1], '^(%d+)-(%d+)$')
    ms, number = math.max(ms, tonumber(last_ms)), tonumber(last_number)
  end
  local id = string.format('%.0f-%.0f', ms, number + 1)
  return redis.call('XADD', events, 'MAXLEN', '~', {EVENTS_LENGTH}, id, 't', kind, 'r', record)
end
"""

PUBLISH_EVENT = (
    TELL
    + """
-- keys: events   args: type, record
return tell(KEYS[1], ARGV[1], ARGV[2])
"""
)
"""Tell of one event: its id."""

TELL_ONCE = (
    TELL
    + """
-- keys: mark, events   args: lifetime of the mark in ms, type, record
if redis.call('SET', KEYS[1], '1', 'NX', 'PX', ARGV[1]) then tell(KEYS[2], ARGV[2], ARGV[3]) end
"""
)
"""Tell of one event, unless the mark says that it was told."""

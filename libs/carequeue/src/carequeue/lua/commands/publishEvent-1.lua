--[[
  Writes an event of somebody's own to the stream.

  KEYS[1]  base key of the queue

  ARGV[1]  how many events to keep about; empty: as many as the queue keeps
  ARGV[2…] for each field 2 arguments: its name, its value; the field `event` is the name of the event

  Output: the id of the event
  Events: none
]]
--- @include "queueKeys"
--- @include "queueMeta"

local keys = queueKeys(KEYS[1])
local most = tonumber(ARGV[1]) or queueMeta(keys).maxEvents
return redis.call('XADD', keys.events, 'MAXLEN', '~', most, '*', unpack(ARGV, 2, #ARGV))

--[[
  Reads one scheduler.

  KEYS[1]  base key of the queue

  ARGV[1]  scheduler id

  Output: {when the run it waits for is due, ms, or empty; its hash as {field, value, …}; what became of that
          run: pending | started | ended | lost}
  Events: none
]]
--- @include "queueKeys"
--- @include "scheduledAt"
--- @include "schedulerState"

local keys = queueKeys(KEYS[1])
local id = ARGV[1]
local due = scheduledAt(keys, id)
local state = due ~= '' and schedulerState(keys, id, due) or ''
return {due, redis.call('HGETALL', keys.repeats .. ':' .. id), state}

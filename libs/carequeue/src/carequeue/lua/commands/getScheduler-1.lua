--[[
  Reads one scheduler.

  KEYS[1]  base key of the queue

  ARGV[1]  scheduler id

  Output: {when the run it waits for is due, ms, or empty; its hash as {field, value, …}; 1 if that run has not started}
  Events: none
]]
--- @include "queueKeys"
--- @include "scheduledAt"

local keys = queueKeys(KEYS[1])
local id = ARGV[1]
local due = scheduledAt(keys, id)
local runId = 'repeat:' .. id .. ':' .. due
local pending = redis.call('ZSCORE', keys.delayed, runId) or redis.call('ZSCORE', keys.prioritized, runId)
  or redis.call('ZSCORE', keys.groupsWaiting, runId) or redis.call('LPOS', keys.wait, runId) or redis.call('LPOS', keys.paused, runId)
return {due, redis.call('HGETALL', keys.repeats .. ':' .. id), pending and 1 or 0}

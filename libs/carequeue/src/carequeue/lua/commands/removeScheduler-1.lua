--[[
  Removes a scheduler and the run it waits for; a run that has started goes on.

  KEYS[1]  base key of the queue

  ARGV[1]  now, ms
  ARGV[2]  scheduler id

  Output: 1, or 0 there is none
  Events: removed, waiting, delayed
]]
--- @include "queueKeys"
--- @include "queueMeta"
--- @include "removeJob"
--- @include "scheduledAt"
--- @include "trimEvents"

local keys = queueKeys(KEYS[1])
local id = ARGV[2]
local current = scheduledAt(keys, id)
redis.call('DEL', keys.repeats .. ':' .. id)
if current == '' then
  return 0
end
redis.call('ZREM', keys.repeats, id)
local runId = 'repeat:' .. id .. ':' .. current
local runKey = keys.base .. ':' .. runId
local started = redis.call('HEXISTS', runKey, 'processedOn') == 1 and redis.call('LPOS', keys.active, runId)
local finished = redis.call('HEXISTS', runKey, 'finishedOn') == 1
if not started and not finished then
  removeJob(keys, runId, tonumber(ARGV[1]), false)
end
trimEvents(keys, queueMeta(keys))
return 1

--[[
  Makes one delayed job available now.

  KEYS[1]  base key of the queue

  ARGV[1]  job id

  Output: 0, or -1 no such job, -3 not delayed
  Events: waiting
]]
--- @include "queueKeys"
--- @include "queueMeta"
--- @include "requeue"
--- @include "trimEvents"
--- @include "wakeWorker"

local keys = queueKeys(KEYS[1])
if redis.call('EXISTS', keys.base .. ':' .. ARGV[1]) == 0 then
  return -1
end
if redis.call('ZREM', keys.delayed, ARGV[1]) == 0 then
  return -3
end
requeue(keys, ARGV[1], 'delayed', nil, false)
local meta = queueMeta(keys)
wakeWorker(keys, meta)
trimEvents(keys, meta)
return 0

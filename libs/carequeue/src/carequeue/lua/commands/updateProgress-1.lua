--[[
  Notes how far a job is.

  KEYS[1]  base key of the queue

  ARGV[1]  job id
  ARGV[2]  progress JSON

  Output: 0, or -1 no such job
  Events: progress
]]
--- @include "queueKeys"
--- @include "queueMeta"
--- @include "trimEvents"

local keys = queueKeys(KEYS[1])
local jobKey = keys.base .. ':' .. ARGV[1]
if redis.call('EXISTS', jobKey) == 0 then
  return -1
end
redis.call('HSET', jobKey, 'progress', ARGV[2])
redis.call('XADD', keys.events, '*', 'event', 'progress', 'jobId', ARGV[1], 'data', ARGV[2])
trimEvents(keys, queueMeta(keys))
return 0

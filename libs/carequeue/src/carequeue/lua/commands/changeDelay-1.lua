--[[
  Makes a delayed job due at another time.

  KEYS[1]  base key of the queue

  ARGV[1]  now, ms
  ARGV[2]  job id
  ARGV[3]  delay from now, ms

  Output: 0, or -1 no such job, -3 not delayed
  Events: delayed
]]
--- @include "queueKeys"
--- @include "queueMeta"
--- @include "delayedScore"
--- @include "postponeExpiry"
--- @include "trimEvents"
--- @include "wakeWhenDue"

local keys = queueKeys(KEYS[1])
local id, delay = ARGV[2], tonumber(ARGV[3])
local jobKey = keys.base .. ':' .. id
if redis.call('EXISTS', jobKey) == 0 then
  return -1
end
if redis.call('ZREM', keys.delayed, id) == 0 then
  return -3
end
local due = tonumber(ARGV[1]) + delay
redis.call('HSET', jobKey, 'delay', delay)
postponeExpiry(jobKey, redis.call('HGET', jobKey, 'opts'), due)
redis.call('ZADD', keys.delayed, delayedScore(keys, due), id)
redis.call('XADD', keys.events, '*', 'event', 'delayed', 'jobId', id, 'delay', due)
wakeWhenDue(keys)
trimEvents(keys, queueMeta(keys))
return 0

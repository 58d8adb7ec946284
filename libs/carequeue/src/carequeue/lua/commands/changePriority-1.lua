--[[
  Gives a job another priority; one that waits moves to its new place.

  KEYS[1]  base key of the queue

  ARGV[1]  job id
  ARGV[2]  priority
  ARGV[3]  1: to the head of its new class

  Output: 0, or -1 no such job
  Events: none
]]
--- @include "queueKeys"
--- @include "queueMeta"
--- @include "enqueue"
--- @include "wakeWorker"
--- @include "withdrawFromGroup"

local keys = queueKeys(KEYS[1])
local id = ARGV[1]
local jobKey = keys.base .. ':' .. id
if redis.call('EXISTS', jobKey) == 0 then
  return -1
end
local group = redis.call('HGET', jobKey, 'gid')
if not (group and withdrawFromGroup(keys, id)) then
  group = nil
end
if group or redis.call('ZREM', keys.prioritized, id) == 1 or redis.call('LREM', keys.wait, -1, id) > 0
  or redis.call('LREM', keys.paused, -1, id) > 0 then
  enqueue(keys, id, tonumber(ARGV[2]), ARGV[3] == '1', group)
  wakeWorker(keys, queueMeta(keys))
end
redis.call('HSET', jobKey, 'priority', ARGV[2])
return 0

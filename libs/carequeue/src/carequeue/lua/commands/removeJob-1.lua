--[[
  Removes one job.

  KEYS[1]  base key of the queue

  ARGV[1]  now, ms
  ARGV[2]  job id
  ARGV[3]  1: its children too

  Output: 1, or -1 no such job, -8 the next run of a scheduler, -12 a worker holds it or a child
  Events: removed, waiting, delayed
]]
--- @include "queueKeys"
--- @include "queueMeta"
--- @include "isHeld"
--- @include "isNextRun"
--- @include "removeJob"
--- @include "trimEvents"

local keys = queueKeys(KEYS[1])
local id, deep = ARGV[2], ARGV[3] == '1'
local jobKey = keys.base .. ':' .. id
if redis.call('EXISTS', jobKey) == 0 then
  return -1
end
if isNextRun(keys, id, redis.call('HGET', jobKey, 'rjk')) then
  return -8
end
if isHeld(jobKey, deep) then
  return -12
end
removeJob(keys, id, tonumber(ARGV[1]), deep)
trimEvents(keys, queueMeta(keys))
return 1

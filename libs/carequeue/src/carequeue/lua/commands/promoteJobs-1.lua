--[[
  Makes delayed jobs available now, those due first first, each in its class of priority.

  KEYS[1]  base key of the queue

  ARGV[1]  how many at most in this call

  Output: how many were promoted
  Events: waiting
]]
--- @include "queueKeys"
--- @include "queueMeta"
--- @include "callMany"
--- @include "requeue"
--- @include "trimEvents"
--- @include "wakeWorker"

local keys = queueKeys(KEYS[1])
local ids = redis.call('ZRANGE', keys.delayed, 0, tonumber(ARGV[1]) - 1)
if #ids == 0 then
  return 0
end
callMany('ZREM', keys.delayed, ids)
for _, id in ipairs(ids) do
  requeue(keys, id, 'delayed', nil, false)
end
local meta = queueMeta(keys)
wakeWorker(keys, meta)
trimEvents(keys, meta)
return #ids

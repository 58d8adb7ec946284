--[[
  Runs many finished jobs again, the oldest first, each in its class of priority.

  KEYS[1]  base key of the queue

  ARGV[1]  now, ms
  ARGV[2]  failed | completed
  ARGV[3]  only those that finished up to this, ms
  ARGV[4]  how many at most in this call

  Output: how many were put back
  Events: waiting
]]
--- @include "queueKeys"
--- @include "queueMeta"
--- @include "callMany"
--- @include "expectChild"
--- @include "requeue"
--- @include "trimEvents"
--- @include "wakeWorker"

local keys = queueKeys(KEYS[1])
local set, erased = keys.failed, 'failedReason'
if ARGV[2] == 'completed' then
  set, erased = keys.completed, 'returnvalue'
end
local ids = redis.call('ZRANGEBYSCORE', set, '-inf', ARGV[3], 'LIMIT', 0, ARGV[4])
if #ids == 0 then
  return 0
end
callMany('ZREM', set, ids)
for _, id in ipairs(ids) do
  expectChild(keys, id)
  requeue(keys, id, ARGV[2], erased, false, ARGV[1])
end
local meta = queueMeta(keys)
wakeWorker(keys, meta)
trimEvents(keys, meta)
return #ids

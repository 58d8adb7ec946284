--[[
  Runs a completed or failed job again.

  KEYS[1]  base key of the queue

  ARGV[1]  now, ms
  ARGV[2]  job id
  ARGV[3]  1: forget the attempts made and started

  Output: 0, or -1 no such job, -3 neither completed nor failed
  Events: waiting
]]
--- @include "queueKeys"
--- @include "queueMeta"
--- @include "decodeObject"
--- @include "expectChild"
--- @include "requeue"
--- @include "trimEvents"
--- @include "wakeWorker"

local keys = queueKeys(KEYS[1])
local id = ARGV[2]
local jobKey = keys.base .. ':' .. id
if redis.call('EXISTS', jobKey) == 0 then
  return -1
end
local state, erased
if redis.call('ZREM', keys.failed, id) == 1 then
  state, erased = 'failed', 'failedReason'
elseif redis.call('ZREM', keys.completed, id) == 1 then
  state, erased = 'completed', 'returnvalue'
else
  return -3
end
if ARGV[3] == '1' then
  redis.call('HDEL', jobKey, 'atm', 'ats')
end
local opts = decodeObject(redis.call('HGET', jobKey, 'opts'))
expectChild(keys, id)
requeue(keys, id, state, erased, opts.lifo == true, ARGV[1])
local meta = queueMeta(keys)
wakeWorker(keys, meta)
trimEvents(keys, meta)
return 0

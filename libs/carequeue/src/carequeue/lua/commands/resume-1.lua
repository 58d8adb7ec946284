--[[
  Lets workers take jobs again. Jobs that BullMQ up to 5 parked in a list of their own go back in front of the others.

  KEYS[1]  base key of the queue

  Output: 0
  Events: resumed
]]
--- @include "queueKeys"
--- @include "queueMeta"
--- @include "callMany"
--- @include "hasWork"
--- @include "wakeWorker"
--- @include "wakeWhenDue"

local keys = queueKeys(KEYS[1])
redis.call('HDEL', keys.meta, 'paused')
local parked = redis.call('LRANGE', keys.paused, 0, -1)
callMany('RPUSH', keys.wait, parked)
redis.call('DEL', keys.paused)
if hasWork(keys) then
  wakeWorker(keys, queueMeta(keys))
else
  wakeWhenDue(keys)
end
redis.call('XADD', keys.events, '*', 'event', 'resumed')
return 0

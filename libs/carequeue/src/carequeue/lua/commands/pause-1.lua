--[[
  Pauses the queue everywhere: no worker takes a job any more; what is active goes on.

  KEYS[1]  base key of the queue

  Output: 0
  Events: paused
]]
--- @include "queueKeys"

local keys = queueKeys(KEYS[1])
redis.call('HSET', keys.meta, 'paused', 1)
redis.call('DEL', keys.marker)
redis.call('XADD', keys.events, '*', 'event', 'paused')
return 0

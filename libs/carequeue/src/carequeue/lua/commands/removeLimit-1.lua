--[[
  Opens the window of the rate limit, whoever filled it; workers that waited for it hear of it.

  KEYS[1]  base key of the queue

  Output: 1 if there was one, 0 if not
  Events: none
]]
--- @include "queueKeys"
--- @include "queueMeta"
--- @include "wakeForWork"

local keys = queueKeys(KEYS[1])

local removed = redis.call('DEL', keys.limiter)
if removed == 1 then
  wakeForWork(keys, queueMeta(keys))
end
return removed

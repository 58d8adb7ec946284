--[[
  Opens the window of a group's rate limit, whoever filled it; workers that waited for it hear of it.

  KEYS[1]  base key of the queue

  ARGV[1]  group id

  Output: 1 if there was one, 0 if not
  Events: none
]]
--- @include "queueKeys"
--- @include "queueMeta"
--- @include "groupKey"
--- @include "placeGroup"
--- @include "wakeForWork"

local keys = queueKeys(KEYS[1])
local group = ARGV[1]

local removed = redis.call('DEL', groupKey(keys, group, 'limiter'))
if removed == 1 and placeGroup(keys, group) then
  wakeForWork(keys, queueMeta(keys))
end
return removed

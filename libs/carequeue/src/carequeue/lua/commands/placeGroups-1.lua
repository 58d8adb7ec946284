--[[
  Lets what now holds for all groups take effect on some of them: those that may start more take turns again.

  KEYS[1]  base key of the queue

  ARGV[1]  cursor: 0 at first, then what the call before answered
  ARGV[2]  how many about

  Output: cursor of the next call, 0 if this was the last
  Events: none
]]
--- @include "queueKeys"
--- @include "queueMeta"
--- @include "placeGroup"
--- @include "wakeForWork"

local keys = queueKeys(KEYS[1])
local page = redis.call('ZSCAN', keys.groupTurns, ARGV[1], 'COUNT', ARGV[2])
for at = 1, #page[2], 2 do
  placeGroup(keys, page[2][at])
end
wakeForWork(keys, queueMeta(keys))
return page[1]

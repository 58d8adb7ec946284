--[[
  Lets no worker start a job of a group for a time.

  KEYS[1]  base key of the queue

  ARGV[1]  group id
  ARGV[2]  for how long, ms

  Output: nothing
  Events: none
]]
--- @include "queueKeys"
--- @include "queueMeta"
--- @include "limitGroup"
--- @include "wakeWorker"

local keys = queueKeys(KEYS[1])

if limitGroup(keys, ARGV[1], ARGV[2]) then
  wakeWorker(keys, queueMeta(keys))
end

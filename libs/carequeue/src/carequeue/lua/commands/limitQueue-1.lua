--[[
  Lets no worker start a job for a time.

  KEYS[1]  base key of the queue

  ARGV[1]  for how long, ms

  Output: nothing
  Events: none
]]
--- @include "queueKeys"
--- @include "limitQueue"

limitQueue(queueKeys(KEYS[1]), ARGV[1])

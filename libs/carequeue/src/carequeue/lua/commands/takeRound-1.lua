--[[
  Says whether it is the caller's turn to keep house in the queue: one worker's, once an interval.

  KEYS[1]  base key of the queue

  ARGV[1]  now, ms
  ARGV[2]  interval, ms

  Output: 1, or 0
  Events: none
]]
--- @include "queueKeys"

local keys = queueKeys(KEYS[1])
return redis.call('SET', keys.housekeeping, ARGV[1], 'PX', ARGV[2], 'NX') and 1 or 0

--[[
  Notes that the run which a scheduler waits for has started, where the next one could not be made.

  KEYS[1]  base key of the queue

  ARGV[1]  scheduler id
  ARGV[2]  when the run that has started was due, ms

  Output: 0
  Events: none
]]
--- @include "queueKeys"
--- @include "scheduledAt"

local keys = queueKeys(KEYS[1])
local hashKey = keys.repeats .. ':' .. ARGV[1]
if scheduledAt(keys, ARGV[1]) == ARGV[2] and redis.call('HEXISTS', hashKey, 'ic') == 1 then
  redis.call('HSET', hashKey, 'started', ARGV[2])
end
return 0

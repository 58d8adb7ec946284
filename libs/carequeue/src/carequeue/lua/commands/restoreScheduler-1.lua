--[[
  Writes the hash of a scheduler that has lost it. Does nothing if it is in order by now.

  KEYS[1]  base key of the queue

  ARGV[1]  scheduler id
  ARGV[2]  when the run that it waits for is due as the caller knows it, ms
  ARGV[3…] for each field of the hash 2 arguments: name, value

  Output: 0, or -13 the scheduler changed meanwhile
  Events: none
]]
--- @include "queueKeys"
--- @include "scheduledAt"

local keys = queueKeys(KEYS[1])
local hashKey = keys.repeats .. ':' .. ARGV[1]
if scheduledAt(keys, ARGV[1]) ~= ARGV[2] or redis.call('EXISTS', hashKey) == 1 then
  return -13
end
redis.call('HSET', hashKey, unpack(ARGV, 3, #ARGV))
return 0

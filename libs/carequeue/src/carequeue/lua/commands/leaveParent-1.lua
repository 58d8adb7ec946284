--[[
  Unties a pending child from its parent, which no longer waits for it.

  KEYS[1]  base key of the queue

  ARGV[1]  now, ms
  ARGV[2]  id of the child

  Output: 1, 0 its parent is missing or does not wait for it, or -1 no such job
  Events: waiting, delayed
]]
--- @include "leaveParent"

local jobKey = KEYS[1] .. ':' .. ARGV[2]
local tie = redis.call('HMGET', jobKey, 'parentKey', 'parent', 'timestamp')
if not tie[3] and redis.call('EXISTS', jobKey) == 0 then
  return -1
end
if not tie[1] or redis.call('EXISTS', tie[1]) == 0
  or redis.call('SISMEMBER', tie[1] .. ':dependencies', jobKey) == 0 then
  return 0
end
leaveParent(jobKey, tie[1], tie[2], tonumber(ARGV[1]))
redis.call('HDEL', jobKey, 'parentKey', 'parent')
return 1

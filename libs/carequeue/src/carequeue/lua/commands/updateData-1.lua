--[[
  Replaces the data of a job.

  KEYS[1]  base key of the queue

  ARGV[1]  job id
  ARGV[2]  data JSON

  Output: 0, or -1 no such job
  Events: none
]]
local jobKey = KEYS[1] .. ':' .. ARGV[1]
if redis.call('EXISTS', jobKey) == 0 then
  return -1
end
redis.call('HSET', jobKey, 'data', ARGV[2])
return 0

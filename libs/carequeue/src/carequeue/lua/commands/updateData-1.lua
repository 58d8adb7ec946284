--[[
  Replaces the data of a job.

  KEYS[1]  base key of the queue

  ARGV[1]  job id
  ARGV[2]  data JSON
  ARGV[3]  only if the lock holds this token; empty: whoever has it

  Output: 0, or -1 no such job, -2 nobody holds it, -6 another holds it
  Events: none
]]
local jobKey = KEYS[1] .. ':' .. ARGV[1]
if redis.call('EXISTS', jobKey) == 0 then
  return -1
end
if ARGV[3] ~= '' then
  local token = redis.call('GET', jobKey .. ':lock')
  if token ~= ARGV[3] then
    return token and -6 or -2
  end
end
redis.call('HSET', jobKey, 'data', ARGV[2])
return 0

--[[
  Adds a row to a job's log.

  KEYS[1]  base key of the queue

  ARGV[1]  job id
  ARGV[2]  row
  ARGV[3]  how many rows to keep, the newest; 0: all

  Output: how many rows there are, or -1 no such job
  Events: none
]]
local jobKey = KEYS[1] .. ':' .. ARGV[1]
if redis.call('EXISTS', jobKey) == 0 then
  return -1
end
local logsKey = jobKey .. ':logs'
local rows = redis.call('RPUSH', logsKey, ARGV[2])
local keep = tonumber(ARGV[3])
if keep > 0 and rows > keep then
  redis.call('LTRIM', logsKey, -keep, -1)
  return keep
end
return rows

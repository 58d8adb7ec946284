--[[
  How many jobs ended, in all and minute by minute.

  KEYS[1]  base key of the queue

  ARGV[1]  completed | failed
  ARGV[2]  the first minute to tell, 0 is the newest
  ARGV[3]  the last, -1 is the oldest

  Output: {{count, time of the last change of a minute ms, count then}, minutes, how many minutes there are}
  Events: none
]]
local metrics = KEYS[1] .. ':metrics:' .. ARGV[1]

return {
  redis.call('HMGET', metrics, 'count', 'prevTS', 'prevCount'),
  redis.call('LRANGE', metrics .. ':data', ARGV[2], ARGV[3]),
  redis.call('LLEN', metrics .. ':data'),
}

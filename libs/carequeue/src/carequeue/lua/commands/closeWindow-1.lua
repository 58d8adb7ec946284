--[[
  Lets the next job with a deduplication id be added.

  KEYS[1]  base key of the queue

  ARGV[1]  deduplication id
  ARGV[2]  only if this job keeps others out; empty: whichever does

  Output: 1, or 0 if none does, or another
  Events: none
]]
local windowKey = KEYS[1] .. ':de:' .. ARGV[1]
if ARGV[2] ~= '' and redis.call('GET', windowKey) ~= ARGV[2] then
  return 0
end
return redis.call('DEL', windowKey)

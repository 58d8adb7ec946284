--[[
  Notes that a thing to be done once is done, unless somebody else has claimed or done it since.

  KEYS[1]  base key of the things to be done

  ARGV[1]  which of them
  ARGV[2]  fence under which it was claimed
  ARGV[3]  result JSON
  ARGV[4]  how long this is remembered, ms

  Output: 1, or 0 somebody else has it
  Events: none
]]
local entry = KEYS[1] .. ':' .. ARGV[1]
local fence = redis.call('HGET', entry, 'fence')
if fence and fence ~= ARGV[2] then
  return 0
end
redis.call('HSET', entry, 'fence', ARGV[2], 'result', ARGV[3])
redis.call('PEXPIRE', entry, ARGV[4])
return 1

--[[
  Claims what is to be done once, unless somebody has done it, or claimed it later.

  KEYS[1]  base key of the things to be done

  ARGV[1]  which of them
  ARGV[2]  fence: digits, all fences have as many
  ARGV[3]  how long this is remembered, ms

  Output: {new, ''}, {in_doubt, ''} it was claimed before and is perhaps done, {finished, result} or {superseded, ''}
  Events: none
]]
local entry = KEYS[1] .. ':' .. ARGV[1]
local stored = redis.call('HMGET', entry, 'fence', 'result')
local fence, result = stored[1], stored[2]
if result then
  return {'finished', result}
end
if fence and fence > ARGV[2] then
  return {'superseded', ''}
end
redis.call('HSET', entry, 'fence', ARGV[2])
redis.call('PEXPIRE', entry, ARGV[3])
return {fence and 'in_doubt' or 'new', ''}

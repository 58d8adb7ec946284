--[[
  Reads the waiting jobs of a group, in the order in which they will be taken.

  KEYS[1]  base key of the queue

  ARGV[1]  group id
  ARGV[2]  first place, from 0
  ARGV[3]  how many at most

  Output: {how many places there are, {id, hash, id, hash, …}}; a hash is {field, value, …}
  Events: none
]]
--- @include "queueKeys"
--- @include "groupKey"

local keys = queueKeys(KEYS[1])
local waiting = groupKey(keys, ARGV[1], 'wait')
local first, count = tonumber(ARGV[2]), tonumber(ARGV[3])
local jobs = {}
for _, id in ipairs(redis.call('ZRANGE', waiting, first, first + count - 1)) do
  local hash = redis.call('HGETALL', keys.base .. ':' .. id)
  if #hash > 0 then
    jobs[#jobs + 1] = id
    jobs[#jobs + 1] = hash
  end
end
return {redis.call('ZCARD', waiting), jobs}

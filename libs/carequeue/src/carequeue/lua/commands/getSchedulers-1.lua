--[[
  Reads a page of schedulers, those due first first.

  KEYS[1]  base key of the queue

  ARGV[1]  first place, from 0
  ARGV[2]  last place, included; -1: all

  Output: {id, due ms, hash, id, due ms, hash, …}; a hash is {field, value, …}
  Events: none
]]
--- @include "queueKeys"

local keys = queueKeys(KEYS[1])
local found = {}
local ranked = redis.call('ZRANGE', keys.repeats, ARGV[1], ARGV[2], 'WITHSCORES')
for at = 1, #ranked, 2 do
  found[#found + 1] = ranked[at]
  found[#found + 1] = string.format('%.0f', tonumber(ranked[at + 1]))
  found[#found + 1] = redis.call('HGETALL', keys.repeats .. ':' .. ranked[at])
end
return found

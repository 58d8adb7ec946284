--[[
  Removes finished jobs that are too old to be kept, as a worker does when another job finishes.

  KEYS[1]  base key of the queue

  ARGV[1]  now, ms
  ARGV[2]  completed | failed
  ARGV[3]  how old, ms, is too old
  ARGV[4]  how many at most in this call

  Output: how many were removed
  Events: waiting, delayed
]]
--- @include "queueKeys"
--- @include "evictFinished"

local keys = queueKeys(KEYS[1])
local set = keys.base .. ':' .. ARGV[2]
local before = redis.call('ZCARD', set)
evictFinished(keys, set, {count = -1, age = tonumber(ARGV[3]), limit = tonumber(ARGV[4])}, tonumber(ARGV[1]))
return before - redis.call('ZCARD', set)

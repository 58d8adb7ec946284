--[[
  Reads a page of failed jobs, the newest first.

  KEYS[1]  base key of the queue

  ARGV[1]  how many at most
  ARGV[2…] for each job of the page before, the last one first, 2 arguments: id, when it failed (ms)

  Output: {how many failed jobs there are, {id, ms, {name, reason, stack traces JSON}, id, …}}. It goes on after the last
          job of the page before that is still there; if none is, with what failed in the same millisecond.
  Events: none
]]
--- @include "queueKeys"

local FIRST, WIDTH = 2, 2

local keys = queueKeys(KEYS[1])

local function nextPlace()
  for at = FIRST, #ARGV, WIDTH do
    local score = redis.call('ZSCORE', keys.failed, ARGV[at])
    if score and tonumber(score) == tonumber(ARGV[at + 1]) then -- else it ran and failed again: it is among the newest
      return redis.call('ZREVRANK', keys.failed, ARGV[at]) + 1
    end
  end
  if #ARGV < FIRST then
    return 0
  end
  return redis.call('ZCOUNT', keys.failed, '(' .. ARGV[FIRST + 1], '+inf')
end

local start = nextPlace()
local found = redis.call('ZREVRANGE', keys.failed, start, start + tonumber(ARGV[1]) - 1, 'WITHSCORES')
local page = {}
for at = 1, #found, 2 do
  page[#page + 1] = found[at]
  page[#page + 1] = found[at + 1]
  page[#page + 1] = redis.call('HMGET', keys.base .. ':' .. found[at], 'name', 'failedReason', 'stacktrace')
end
return {redis.call('ZCARD', keys.failed), page}

--[[
  Deletes jobs that are in no state: no list or set of the queue holds them, so nobody would ever find them again.

  KEYS[1]  base key of the queue

  ARGV[1]  now, ms
  ARGV[2]  how many at most
  ARGV[3…] ids that may be such jobs; what is none stays

  Output: how many were deleted
  Events: waiting, delayed
]]
--- @include "queueKeys"
--- @include "discardJob"
--- @include "statesOf"

local keys = queueKeys(KEYS[1])
local now, most = tonumber(ARGV[1]), tonumber(ARGV[2])
local jobs = {}
for at = 3, #ARGV do
  local jobKey = keys.base .. ':' .. ARGV[at]
  -- other hashes of the queue have some of these fields, and none has all
  local fields = redis.call('HMGET', jobKey, 'name', 'data', 'opts', 'timestamp')
  if fields[1] and fields[2] and fields[3] and fields[4] and redis.call('EXISTS', jobKey .. ':lock') == 0 then
    jobs[#jobs + 1] = ARGV[at]
  end
end
local removed = 0
for at, state in ipairs(statesOf(keys, jobs)) do
  if state == '' and removed < most then
    discardJob(keys, jobs[at], now)
    removed = removed + 1
  end
end
return removed

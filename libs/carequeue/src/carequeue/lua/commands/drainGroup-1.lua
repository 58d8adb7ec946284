--[[
  Removes waiting jobs of a group, those first that would be taken first. The next runs of schedulers stay.

  KEYS[1]  base key of the queue

  ARGV[1]  now, ms
  ARGV[2]  group id
  ARGV[3]  how many of the first to pass over
  ARGV[4]  how many to look at in this call

  Output: {how many were looked at, how many of those are gone}
  Events: waiting, delayed
]]
--- @include "queueKeys"
--- @include "discardJob"
--- @include "groupKey"
--- @include "isNextRun"
--- @include "withdrawFromGroup"

local keys = queueKeys(KEYS[1])
local first = tonumber(ARGV[3])
local ids = redis.call('ZRANGE', groupKey(keys, ARGV[2], 'wait'), first, first + tonumber(ARGV[4]) - 1)
local gone = 0
for _, id in ipairs(ids) do
  if not isNextRun(keys, id, redis.call('HGET', keys.base .. ':' .. id, 'rjk')) and withdrawFromGroup(keys, id) then
    discardJob(keys, id, tonumber(ARGV[1]))
    gone = gone + 1
  end
end
return {#ids, gone}

--[[
  Removes every job that waits, and with ARGV[2] every delayed one. The next runs of schedulers stay.

  KEYS[1]  base key of the queue

  ARGV[1]  now, ms
  ARGV[2]  1: delayed jobs too

  Output: 0
  Events: waiting, delayed
]]
--- @include "queueKeys"
--- @include "callMany"
--- @include "discardAll"
--- @include "discardJob"
--- @include "isNextRun"
--- @include "withdrawFromGroup"

local keys = queueKeys(KEYS[1])
local now = tonumber(ARGV[1])

local function drainList(list)
  local ids = redis.call('LRANGE', list, 0, -1)
  redis.call('DEL', list)
  callMany('RPUSH', list, discardAll(keys, ids, now))
end

local function drainSet(set)
  local ids = redis.call('ZRANGE', set, 0, -1)
  local stays = {}
  for _, id in ipairs(discardAll(keys, ids, now)) do
    stays[id] = true
  end
  local gone = {}
  for _, id in ipairs(ids) do
    if not stays[id] then
      gone[#gone + 1] = id
    end
  end
  callMany('ZREM', set, gone)
end

drainList(keys.wait)
drainList(keys.paused)
drainSet(keys.prioritized)
for _, id in ipairs(redis.call('ZRANGE', keys.groupsWaiting, 0, -1)) do
  if not isNextRun(keys, id, redis.call('HGET', keys.base .. ':' .. id, 'rjk')) and withdrawFromGroup(keys, id) then
    discardJob(keys, id, now)
  end
end
if ARGV[2] == '1' then
  drainSet(keys.delayed)
end
return 0

--[[
  Removes some jobs of a state, those that come first first. The next runs of schedulers stay.

  KEYS[1]  base key of the queue

  ARGV[1]  now, ms
  ARGV[2]  state: wait | paused | prioritized | delayed | groups:waiting
  ARGV[3]  how many to look at, those that stay included

  Output: {how many were removed, how many stay of those looked at}
  Events: waiting, delayed
]]
--- @include "queueKeys"
--- @include "callMany"
--- @include "discardAll"
--- @include "discardJob"
--- @include "isNextRun"
--- @include "withdrawFromGroup"

local keys = queueKeys(KEYS[1])
local now, state, count = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local key = keys.base .. ':' .. state

-- What comes first is on the right.
local function drainList()
  local ids = redis.call('LRANGE', key, -count, -1)
  redis.call('LTRIM', key, 0, -#ids - 1)
  local stay = discardAll(keys, ids, now)
  callMany('RPUSH', key, stay)
  return #ids - #stay, #stay
end

local function drainSet()
  local ids = redis.call('ZRANGE', key, 0, count - 1)
  local stays, stay = {}, discardAll(keys, ids, now)
  for _, id in ipairs(stay) do
    stays[id] = true
  end
  local gone = {}
  for _, id in ipairs(ids) do
    if not stays[id] then
      gone[#gone + 1] = id
    end
  end
  callMany('ZREM', key, gone)
  return #gone, #stay
end

local function drainGroups()
  local ids, stay = redis.call('ZRANGE', key, 0, count - 1), 0
  for _, id in ipairs(ids) do
    if isNextRun(keys, id, redis.call('HGET', keys.base .. ':' .. id, 'rjk')) then
      stay = stay + 1
    elseif withdrawFromGroup(keys, id) then
      discardJob(keys, id, now)
    end
  end
  return #ids - stay, stay
end

if state == 'groups:waiting' then
  return {drainGroups()}
end
return {((state == 'wait' or state == 'paused') and drainList or drainSet)()}

--[[
  Removes old jobs of one state among some of its jobs, the oldest of these first. Jobs that a worker holds and the next runs
  of schedulers stay.

  KEYS[1]  base key of the queue

  ARGV[1]  now, ms
  ARGV[2]  state: completed | failed | delayed | prioritized | waiting-children | wait | paused | active |
           groups:waiting
  ARGV[3]  only jobs from up to this, ms: when they finished, else started, else were added
  ARGV[4]  how many to look at, and so to remove, at most
  ARGV[5]  how many come before those, which were looked at and stay

  Output: {the ids removed, how many were looked at}
  Events: cleaned, waiting, delayed
]]
--- @include "queueKeys"
--- @include "queueMeta"
--- @include "callMany"
--- @include "discardJob"
--- @include "isMarker"
--- @include "isNextRun"
--- @include "leaveActiveGroup"
--- @include "removePlaces"
--- @include "trimEvents"
--- @include "wakeForWork"
--- @include "withdrawFromGroup"

local keys = queueKeys(KEYS[1])
local now, state, before = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local count, first = tonumber(ARGV[4]), tonumber(ARGV[5])
local isList = state == 'wait' or state == 'paused' or state == 'active'
local isFinished = state == 'completed' or state == 'failed'
local key = keys.base .. ':' .. state

local function isOld(job)
  if isFinished then
    return true -- ranked by when they finished: only old ones were looked at
  end
  local from = job[2]
  if state == 'active' or state == 'delayed' then
    from = job[1] or job[2]
  end
  return not from or tonumber(from) <= before
end

local function mayGo(id)
  local jobKey = keys.base .. ':' .. id
  local job = redis.call('HMGET', jobKey, 'processedOn', 'timestamp', 'rjk', 'gid')
  return not isMarker(id) and isOld(job) and redis.call('EXISTS', jobKey .. ':lock') == 0
    and not isNextRun(keys, id, job[3]) and (job[4] or state ~= 'groups:waiting')
end

-- Those to look at, the oldest first, which in a list are on the right.
local function candidates()
  if isFinished then
    return redis.call('ZRANGEBYSCORE', key, '-inf', before, 'LIMIT', first, count)
  elseif not isList then
    return redis.call('ZRANGE', key, first, first + count - 1)
  end
  local ids, turned = redis.call('LRANGE', key, -first - count, -first - 1), {}
  for place = #ids, 1, -1 do
    turned[#turned + 1] = ids[place]
  end
  return turned
end

local ids = candidates()
local removed, places = {}, {}
for at, id in ipairs(ids) do
  if mayGo(id) then
    removed[#removed + 1] = id
    places[#places + 1] = -(first + at)
  end
end
if isList then
  removePlaces(key, places)
elseif state ~= 'groups:waiting' then
  callMany('ZREM', key, removed)
end
for _, id in ipairs(removed) do
  if state == 'groups:waiting' then
    withdrawFromGroup(keys, id)
  elseif state == 'active' then
    leaveActiveGroup(keys, id)
  end
  discardJob(keys, id, now)
end
local meta = queueMeta(keys)
if state == 'active' then
  callMany('SREM', keys.stalled, removed)
  wakeForWork(keys, meta)
end
-- The list of old, and the groups, are looked at after `wait`, and rarely there.
if #removed > 0 or first == 0 and state ~= 'paused' and state ~= 'groups:waiting' then
  redis.call('XADD', keys.events, '*', 'event', 'cleaned', 'count', #removed)
end
trimEvents(keys, meta)
return {removed, #ids}

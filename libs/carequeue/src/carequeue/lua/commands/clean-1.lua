--[[
  Removes old jobs of one state, the oldest first. Jobs that a worker holds and the next runs of schedulers stay.

  KEYS[1]  base key of the queue

  ARGV[1]  now, ms
  ARGV[2]  state: completed | failed | delayed | prioritized | waiting-children | wait | paused | active |
           groups:waiting
  ARGV[3]  only jobs from up to this, ms: when they finished, else started, else were added
  ARGV[4]  how many at most in this call

  Output: the ids removed
  Events: cleaned, waiting, delayed
]]
--- @include "queueKeys"
--- @include "queueMeta"
--- @include "callMany"
--- @include "discardJob"
--- @include "isMarker"
--- @include "isNextRun"
--- @include "leaveActiveGroup"
--- @include "removeFromList"
--- @include "trimEvents"
--- @include "wakeForWork"
--- @include "withdrawFromGroup"

local keys = queueKeys(KEYS[1])
local now, state, before, limit = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local lists = {wait = true, paused = true, active = true}
local key = keys.base .. ':' .. state

local function isOld(job)
  if state == 'completed' or state == 'failed' then
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

-- Candidates, the oldest first.
local function candidates()
  if state == 'completed' or state == 'failed' then
    return redis.call('ZRANGEBYSCORE', key, '-inf', before, 'LIMIT', 0, limit)
  elseif not lists[state] then
    return redis.call('ZRANGE', key, 0, -1)
  end
  local ids, turned = redis.call('LRANGE', key, 0, -1), {}
  for place = #ids, 1, -1 do
    turned[#turned + 1] = ids[place]
  end
  return turned
end

local removed = {}
for _, id in ipairs(candidates()) do
  if #removed == limit then
    break
  end
  if mayGo(id) then
    removed[#removed + 1] = id
  end
end
if state == 'groups:waiting' then
  for _, id in ipairs(removed) do
    withdrawFromGroup(keys, id)
  end
elseif not lists[state] then
  callMany('ZREM', key, removed)
elseif #removed > 0 then
  removeFromList(key, removed)
end
for _, id in ipairs(removed) do
  if state == 'active' then
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
if #removed > 0 or state ~= 'paused' and state ~= 'groups:waiting' then
  redis.call('XADD', keys.events, '*', 'event', 'cleaned', 'count', #removed)
end
trimEvents(keys, meta)
return removed

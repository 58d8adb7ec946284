--[[
  Finds jobs whose worker went away. Two passes: every active job is noted, a renewed lock takes the note away, and
  what is still noted and unlocked at the next pass goes back to its queue. One worker per interval does it.

  KEYS[1]  base key of the queue

  ARGV[1]  now, ms
  ARGV[2]  interval, ms
  ARGV[3]  how many times a job may stall before it is failed

  Output: the ids put back
  Events: waiting, stalled
]]
--- @include "queueKeys"
--- @include "queueMeta"
--- @include "callMany"
--- @include "isMarker"
--- @include "enqueue"
--- @include "leaveGroup"
--- @include "repairGroups"
--- @include "trimEvents"
--- @include "wakeWorker"

local keys = queueKeys(KEYS[1])
repairGroups(keys, ARGV[2])
if not redis.call('SET', keys.stalledCheck, ARGV[1], 'PX', ARGV[2], 'NX') then
  return {}
end
local meta = queueMeta(keys)
local limit = tonumber(ARGV[3])

-- A live scheduler's job is never condemned: the chain of its runs would end with it.
local function countStall(id, schedulerId)
  local jobKey = keys.base .. ':' .. id
  local stalls = redis.call('HINCRBY', jobKey, 'stc', 1)
  if stalls > limit and not (schedulerId and redis.call('EXISTS', keys.repeats .. ':' .. schedulerId) == 1) then
    redis.call('HSET', jobKey, 'defa', 'job stalled more than allowable limit')
  end
end

local function recover(id)
  if redis.call('EXISTS', keys.base .. ':' .. id .. ':lock') == 1 or redis.call('LREM', keys.active, 1, id) == 0 then
    return false
  end
  local job = redis.call('HMGET', keys.base .. ':' .. id, 'timestamp', 'priority', 'rjk', 'gid')
  if not job[1] then
    return false
  end
  countStall(id, job[3])
  if job[4] then
    leaveGroup(keys, id, job[4])
  end
  enqueue(keys, id, tonumber(job[2] or nil) or 0, true, job[4])
  redis.call('XADD', keys.events, '*', 'event', 'waiting', 'jobId', id, 'prev', 'active')
  redis.call('XADD', keys.events, '*', 'event', 'stalled', 'jobId', id)
  return true
end

local back = {}
for _, id in ipairs(redis.call('SMEMBERS', keys.stalled)) do
  if isMarker(id) then
    redis.call('LREM', keys.active, 1, id)
  elseif recover(id) then
    back[#back + 1] = id
  end
end
redis.call('DEL', keys.stalled)
callMany('SADD', keys.stalled, redis.call('LRANGE', keys.active, 0, -1))
if #back > 0 then
  wakeWorker(keys, meta)
  trimEvents(keys, meta)
end
return back

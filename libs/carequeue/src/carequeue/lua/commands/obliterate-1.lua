--[[
  Deletes the whole queue, at most ARGV[2] jobs a call, and at last the queue's own keys.

  KEYS[1]  base key of the queue

  ARGV[1]  now, ms
  ARGV[2]  how many jobs at most in this call
  ARGV[3]  1: active jobs too

  Output: 1 there is more to do, 0 all is gone, -1 the queue is not paused, -2 jobs are active
  Events: waiting, delayed
]]
--- @include "queueKeys"
--- @include "callMany"
--- @include "discardJob"
--- @include "groupKey"
--- @include "leaveActiveGroup"
--- @include "withdrawFromGroup"

local keys = queueKeys(KEYS[1])
local now, left = tonumber(ARGV[1]), tonumber(ARGV[2])
if redis.call('HEXISTS', keys.meta, 'paused') == 0 then
  return -1
end
if ARGV[3] ~= '1' and redis.call('LLEN', keys.active) > 0 then
  return -2
end

local function discard(ids)
  for _, id in ipairs(ids) do
    discardJob(keys, id, now)
    redis.call('DEL', keys.base .. ':' .. id .. ':lock')
  end
  left = left - #ids
end

for _, id in ipairs(redis.call('ZRANGE', keys.groupsWaiting, 0, left - 1)) do
  if withdrawFromGroup(keys, id) then
    discard({id})
  end
end
if redis.call('ZCARD', keys.groupsWaiting) > 0 then
  return 1
end
for _, list in ipairs({keys.active, keys.wait, keys.paused}) do
  local ids = left > 0 and redis.call('LRANGE', list, 0, left - 1) or {}
  redis.call('LTRIM', list, #ids, -1)
  for _, id in ipairs(list == keys.active and ids or {}) do
    leaveActiveGroup(keys, id)
  end
  discard(ids)
end
local sets = {keys.delayed, keys.prioritized, keys.waitingChildren, keys.completed, keys.failed}
for _, set in ipairs(sets) do
  local ids = left > 0 and redis.call('ZRANGE', set, 0, left - 1) or {}
  callMany('ZREM', set, ids)
  discard(ids)
end
if left <= 0 then
  return 1
end
for _, group in ipairs(redis.call('ZRANGE', keys.groupTurns, 0, -1)) do
  redis.call('DEL', groupKey(keys, group, 'wait')) -- what BullMQ removed is still noted there
end
for _, id in ipairs(redis.call('ZRANGE', keys.repeats, 0, -1)) do
  redis.call('DEL', keys.repeats .. ':' .. id)
end
redis.call('DEL', keys.meta, keys.id, keys.pc, keys.events, keys.marker, keys.stalled, keys.stalledCheck, keys.limiter,
  keys.repeats, keys.housekeeping, keys.base .. ':priority', keys.base .. ':metrics:completed',
  keys.base .. ':metrics:completed:data',
  keys.base .. ':metrics:failed', keys.base .. ':metrics:failed:data', keys.groupTurns, keys.groupsLimited, keys.groupsWaiting,
  keys.groupsActive, keys.groupSettings, keys.groupsChecked)
return 0

--[[
  Gives a scheduler whose run is lost or over a living one, or ends it. Does nothing if it is in order by now.

  KEYS[1]  base key of the queue

  ARGV[1]  scheduler id
  ARGV[2]  when the run that it waits for is due as the caller knows it, ms
  ARGV[3]  what became of that as the caller knows it: lost | ended
  ARGV[4]  when the new run is due, ms: the same if it was lost; empty: there is none, the scheduler ends
  ARGV[5]  job opts JSON
  ARGV[6]  job timestamp, ms
  ARGV[7]  job delay, ms
  ARGV[8]  job priority
  ARGV[9]  job lifo: 1 or empty

  Output: 0, 1 the new run was there already and is the scheduler's again, -10 another job of that id exists,
          -13 the scheduler changed meanwhile
  Events: added, waiting, delayed
]]
--- @include "queueKeys"
--- @include "queueMeta"
--- @include "scheduledAt"
--- @include "schedulerState"
--- @include "storeRun"
--- @include "trimEvents"
--- @include "withdrawRun"

local keys = queueKeys(KEYS[1])
local id, known, due = ARGV[1], ARGV[2], ARGV[4]
local hashKey = keys.repeats .. ':' .. id
if scheduledAt(keys, id) ~= known or redis.call('HEXISTS', hashKey, 'ic') == 0
  or schedulerState(keys, id, known) ~= ARGV[3] then
  return -13
end
if due == '' then
  redis.call('ZREM', keys.repeats, id)
  redis.call('DEL', hashKey)
  return 0
end

local runId = 'repeat:' .. id .. ':' .. due
if due == known then
  withdrawRun(keys, runId)
else
  local runKey = keys.base .. ':' .. runId
  if redis.call('EXISTS', runKey) == 1 then
    local state = runState(keys, runId)
    if redis.call('HGET', runKey, 'rjk') ~= id or (state ~= 'pending' and state ~= 'started') then
      return -10
    end
    redis.call('ZADD', keys.repeats, due, id)
    redis.call('HINCRBY', hashKey, 'ic', 1)
    return 1
  end
  redis.call('ZADD', keys.repeats, due, id)
  redis.call('HINCRBY', hashKey, 'ic', 1)
end
local stored = redis.call('HMGET', hashKey, 'name', 'data')
storeRun(keys, runId, {
  name = stored[1] or '', data = stored[2] or '{}', opts = ARGV[5], timestamp = ARGV[6], delay = ARGV[7],
  priority = ARGV[8], lifo = ARGV[9] == '1', rjk = id,
})
trimEvents(keys, queueMeta(keys))
return 0

--[[
  Adds the run after the one that a worker just took, or ends the scheduler.

  KEYS[1]  base key of the queue

  ARGV[1]  scheduler id
  ARGV[2]  when the run that was taken was due, ms
  ARGV[3]  when the next run is due, ms; empty: there is none, the scheduler ends
  ARGV[4]  job opts JSON
  ARGV[5]  job timestamp, ms
  ARGV[6]  job delay, ms
  ARGV[7]  job priority
  ARGV[8]  job lifo: 1 or empty

  Output: 0, or -10 a job of that id exists already, -13 the scheduler waits for another run
  Events: added, waiting, delayed
]]
--- @include "queueKeys"
--- @include "queueMeta"
--- @include "scheduledAt"
--- @include "storeRun"
--- @include "trimEvents"

local keys = queueKeys(KEYS[1])
local id, due = ARGV[1], ARGV[3]
local hashKey = keys.repeats .. ':' .. id
if scheduledAt(keys, id) ~= ARGV[2] or redis.call('HEXISTS', hashKey, 'ic') == 0 then
  return -13
end
if due == '' then
  redis.call('ZREM', keys.repeats, id)
  redis.call('DEL', hashKey)
  return 0
end
local runId = 'repeat:' .. id .. ':' .. due
if redis.call('EXISTS', keys.base .. ':' .. runId) == 1 then
  return -10
end
local stored = redis.call('HMGET', hashKey, 'name', 'data')
redis.call('ZADD', keys.repeats, due, id)
redis.call('HINCRBY', hashKey, 'ic', 1)
storeRun(keys, runId, {
  name = stored[1] or '', data = stored[2] or '{}', opts = ARGV[4], timestamp = ARGV[5], delay = ARGV[6],
  priority = ARGV[7], lifo = ARGV[8] == '1', rjk = id,
})
trimEvents(keys, queueMeta(keys))
return 0

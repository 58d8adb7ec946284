--[[
  Creates or changes a scheduler and its next run. A run of it that has not started gives way to the new one.

  KEYS[1]  base key of the queue

  ARGV[1]  scheduler id
  ARGV[2]  when the run that it waits for is due as the caller knows it, ms; empty: there is no such scheduler
  ARGV[3]  when the new run is due, ms
  ARGV[4]  job name
  ARGV[5]  job data JSON
  ARGV[6]  job opts JSON
  ARGV[7]  job timestamp, ms
  ARGV[8]  job delay, ms
  ARGV[9]  job priority
  ARGV[10]  job lifo: 1 or empty
  ARGV[11…] for each field of the scheduler's hash 2 arguments: name, value

  Output: 0, or -10 a job of that id exists already, -13 the scheduler changed meanwhile
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
local id, known, due = ARGV[1], ARGV[2], ARGV[3]
local current = scheduledAt(keys, id)
if current ~= known then
  return -13
end

local runId = 'repeat:' .. id .. ':' .. due
local state = current ~= '' and schedulerState(keys, id, current) or ''
if state == 'pending' or state == 'lost' then
  if due ~= current and redis.call('EXISTS', keys.base .. ':' .. runId) == 1 then
    return -10
  end
  withdrawRun(keys, 'repeat:' .. id .. ':' .. current)
elseif redis.call('EXISTS', keys.base .. ':' .. runId) == 1 then
  return -10
end

local hashKey = keys.repeats .. ':' .. id
local iterations = redis.call('HGET', hashKey, 'ic') or 1
redis.call('DEL', hashKey)
redis.call('HSET', hashKey, 'ic', iterations, unpack(ARGV, 11, #ARGV))
redis.call('ZADD', keys.repeats, due, id)
storeRun(keys, runId, {
  name = ARGV[4], data = ARGV[5], opts = ARGV[6], timestamp = ARGV[7], delay = ARGV[8], priority = ARGV[9],
  lifo = ARGV[10] == '1', rjk = id,
})
trimEvents(keys, queueMeta(keys))
return 0

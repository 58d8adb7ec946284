--[[
  Puts the job of a dead letter back to its own queue, with all its attempts, and removes the letter.

  KEYS[1]  base key of the queue that has the letter

  ARGV[1]  now, ms
  ARGV[2]  id of the letter
  ARGV[3]  SHA-1 of the letter's data as the caller read it
  ARGV[4]  base key of the job's queue, in the same slot
  ARGV[5]  job id
  ARGV[6]  job name
  ARGV[7]  job data JSON
  ARGV[8]  job opts JSON
  ARGV[9]  job priority
  ARGV[10]  job lifo: 1 or empty

  Output: 1 the job runs again, 0 it was waiting or running already, or -1 no such letter, -3 the job has completed
          meanwhile, -12 a worker holds the letter, -13 the letter changed meanwhile
  Events: added, waiting, delayed, removed
]]
--- @include "queueKeys"
--- @include "queueMeta"
--- @include "enqueue"
--- @include "expectChild"
--- @include "removeJob"
--- @include "requeue"
--- @include "storeJob"
--- @include "trimEvents"
--- @include "wakeWorker"

local letters, keys = queueKeys(KEYS[1]), queueKeys(ARGV[4])
local now, letterId, id = tonumber(ARGV[1]), ARGV[2], ARGV[5]
local letterKey, jobKey = letters.base .. ':' .. letterId, keys.base .. ':' .. id
local letter = redis.call('HGET', letterKey, 'data')
if not letter then
  return -1
elseif redis.call('EXISTS', letterKey .. ':lock') == 1 then
  return -12
elseif redis.sha1hex(letter) ~= ARGV[3] then
  return -13
elseif redis.call('ZSCORE', keys.completed, id) then
  return -3
end

-- Whoever keeps failed jobs has it still, with its ties and what it logged; else it is made anew.
local function putBack()
  if redis.call('ZREM', keys.failed, id) == 1 then
    redis.call('HDEL', jobKey, 'atm', 'ats', 'stc')
    redis.call('HSET', jobKey, 'name', ARGV[6], 'data', ARGV[7])
    expectChild(keys, id)
    requeue(keys, id, 'failed', 'failedReason', ARGV[10] == '1', now)
    return 1
  elseif redis.call('EXISTS', jobKey) == 1 then
    return 0
  end
  redis.call('INCR', keys.id)
  local where = storeJob(keys, id, {
    name = ARGV[6], data = ARGV[7], opts = ARGV[8], timestamp = now, delay = 0, priority = ARGV[9],
    lifo = ARGV[10] == '1',
  })
  if where == 'wait' then
    enqueue(keys, id, 0, ARGV[10] == '1')
  end
  return 1
end

local answer = putBack()
if answer == 1 then
  local meta = queueMeta(keys)
  wakeWorker(keys, meta)
  trimEvents(keys, meta)
end
removeJob(letters, letterId, now, false)
trimEvents(letters, queueMeta(letters))
return answer

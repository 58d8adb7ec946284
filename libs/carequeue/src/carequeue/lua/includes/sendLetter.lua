--- @include "discardJob"
--- @include "enqueue"
--- @include "letterText"
--- @include "queueKeys"
--- @include "queueMeta"
--- @include "storeJob"
--- @include "trimEvents"
--- @include "wakeWorker"

-- Adds a letter about a job that failed for good to the queue at `base`. Its id says whose it is: a job that is retried
-- and fails again has one letter that waits, with what happened last. A letter that was dealt with gives way to a new
-- one; one that a worker is reading is left to it, and the new one gets an id of its own.
local function sendLetter(keys, job, base, now)
  local letters = queueKeys(base)
  local counted = redis.pcall('INCR', letters.id)
  if type(counted) == 'table' and counted.err then -- these keys are not ours to write: the job has to fail all the same
    job.value = job.value .. ' (no dead letter: ' .. counted.err .. ')'
    return
  end
  local origin = string.match(keys.base, '([^:]*)$')
  local id = 'dead:' .. origin .. ':' .. job.id
  local letter = letterText(keys, origin, job, now)
  if redis.call('EXISTS', base .. ':' .. id .. ':lock') == 1 then
    id = id .. '-' .. string.format('%.0f', now)
  end
  redis.call('XADD', keys.events, '*', 'event', 'dead-lettered', 'jobId', job.id, 'queue', base, 'letterId', id)
  if redis.call('ZREM', letters.completed, id) + redis.call('ZREM', letters.failed, id) > 0 then
    discardJob(letters, id, now)
  elseif redis.call('EXISTS', base .. ':' .. id) == 1 then
    redis.call('HSET', base .. ':' .. id, 'name', letter.name, 'data', letter.data)
    redis.call('XADD', letters.events, '*', 'event', 'duplicated', 'jobId', id)
    return
  end
  local known = redis.call('HMGET', keys.meta, 'opts.maxLenEvents', 'version')
  for place, field in ipairs({'opts.maxLenEvents', 'version'}) do
    if known[place] then
      redis.call('HSETNX', letters.meta, field, known[place])
    end
  end
  storeJob(letters, id, letter)
  enqueue(letters, id, 0, false)
  local meta = queueMeta(letters)
  wakeWorker(letters, meta)
  trimEvents(letters, meta)
end

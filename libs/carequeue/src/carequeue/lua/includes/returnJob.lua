--- @late
--- @include "enqueue"
--- @include "decodeObject"
--- @include "delayedScore"
--- @include "limitGroup"
--- @include "limitQueue"
--- @include "parkJob"

-- Puts a job that left `active` unfinished where its verdict says: `retry` at once, `delayed` until due,
-- `wait` handed back to the head of its class, `children` until its children are done, or there too if they are.
local function returnJob(keys, job, batch, now)
  if job.verdict == 'wait' and job.due > now then
    if job.limitsGroup and job.group then
      limitGroup(keys, job.group, job.due - now)
    else
      limitQueue(keys, job.due - now)
    end
  end
  if job.stacktrace ~= '' then
    redis.call('HSET', job.key, 'failedReason', job.value, 'stacktrace', job.stacktrace)
  end
  if job.counts then
    redis.call('HSET', job.key, 'atm', job.made)
  end
  if job.verdict == 'delayed' then
    redis.call('HSET', job.key, 'delay', math.max(job.due - now, 0))
    redis.call('ZADD', keys.delayed, delayedScore(keys, job.due), job.id)
    redis.call('XADD', keys.events, '*', 'event', 'delayed', 'jobId', job.id, 'delay', job.due)
    batch.delayed = true
    return
  end
  if job.verdict == 'children' and parkJob(keys, job, now) then
    return
  end
  local stored = redis.call('HMGET', job.key, 'priority', 'opts')
  local atFront = job.verdict == 'wait' or job.verdict == 'children' or decodeObject(stored[2]).lifo == true
  enqueue(keys, job.id, tonumber(stored[1] or nil) or 0, atFront, job.group)
  redis.call('XADD', keys.events, '*', 'event', 'waiting', 'jobId', job.id, 'prev', 'active')
end

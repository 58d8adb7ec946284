--- @include "completeJob"
--- @include "failJob"
--- @include "leaveGroup"
--- @include "returnJob"

-- Moves one job out of `active` as its verdict says. Answers 0, 1 if its failure keeps a parent waiting, or the code
-- that says why nothing was changed. `batch` collects what is cheaper to do once for all jobs of a call.
local function finishJob(keys, meta, job, batch, now)
  local jobKey, verdict = keys.base .. ':' .. job.id, job.verdict
  local stored = redis.call('HMGET', jobKey, 'timestamp', 'atm', 'parentKey', 'deid', 'gid')
  if not stored[1] and redis.call('EXISTS', jobKey) == 0 then
    return -1
  end
  if batch.hasChildren and verdict == 'completed' then
    if redis.call('SCARD', jobKey .. ':dependencies') > 0 then
      return -4
    elseif redis.call('ZCARD', jobKey .. ':unsuccessful') > 0 then
      return -9
    end
  end
  if not job.held then
    return -2
  elseif job.held ~= job.token then
    return -6
  end
  -- From the right: that is where the jobs are that started first.
  if redis.call('LREM', keys.active, -1, job.id) == 0 then
    return -3
  end
  if job.trace then
    redis.call('HSET', jobKey, 'tm', job.trace)
  end
  local left = #batch.ids + 1
  batch.ids[left], batch.locks[left] = job.id, job.lock
  job.key, job.made = jobKey, (stored[2] and tonumber(stored[2]) or 0) + (job.expired and 0 or 1)
  job.parentKey, job.deduplicationId, job.group = stored[3], stored[4], stored[5]
  if job.parentKey then
    job.parent = redis.call('HGET', jobKey, 'parent')
  end
  if job.group then
    leaveGroup(keys, job.id, job.group)
  end
  if verdict == 'completed' then
    completeJob(keys, meta, job, batch.completed, now)
  elseif verdict == 'failed' then
    failJob(keys, meta, job, batch.failed, now)
  else
    returnJob(keys, job, batch, now)
  end
  return job.blocksParent and 1 or 0
end

-- Lets a job that left `active` wait for its children. Answers false if none is pending, or one failed the job.
local function parkJob(keys, job, now)
  if redis.call('SCARD', job.key .. ':dependencies') == 0 or redis.call('EXISTS', job.key .. ':unsuccessful') == 1 then
    return false
  end
  redis.call('ZADD', keys.waitingChildren, now, job.id)
  redis.call('XADD', keys.events, '*', 'event', 'waiting-children', 'jobId', job.id, 'prev', 'active')
  return true
end

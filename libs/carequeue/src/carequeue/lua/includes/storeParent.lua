--- @include "writeJob"

-- Writes a new job that waits for children. Its delay and priority count from when they are done.
local function storeParent(keys, id, job)
  writeJob(keys, id, job)
  redis.call('ZADD', keys.waitingChildren, job.timestamp, id)
  redis.call('XADD', keys.events, '*', 'event', 'waiting-children', 'jobId', id)
end

--- @include "enqueue"
--- @include "queueMeta"
--- @include "storeJob"
--- @include "wakeWhenDue"
--- @include "wakeWorker"

-- Adds a scheduler's next run.
local function storeRun(keys, runId, job)
  redis.call('INCR', keys.id)
  local where = storeJob(keys, runId, job)
  if where == 'delayed' then
    wakeWhenDue(keys)
    return
  end
  if where == 'wait' then
    enqueue(keys, runId, 0, job.lifo)
  end
  if where ~= 'blocked' then
    wakeWorker(keys, queueMeta(keys))
  end
end

--- @include "keepFinished"
--- @include "keepsNone"
--- @include "releaseDeduplication"
--- @include "removeJobKeys"
--- @include "settleParentOfCompleted"

local function completeJob(keys, meta, job, completed, now)
  completed.count = completed.count + 1
  if job.deduplicationId then
    releaseDeduplication(keys, meta, job.id, job.deduplicationId, now)
  end
  if job.parentKey then
    settleParentOfCompleted(job.key, job.parentKey, job.parent, job.value, now)
  end
  if keepsNone(job.keep) then
    removeJobKeys(job.key)
  else
    redis.call('HSET', job.key, 'atm', job.made, 'returnvalue', job.value, 'finishedOn', now)
    keepFinished(completed, job, now)
  end
  redis.call('XADD', keys.events, '*', 'event', 'completed', 'jobId', job.id, 'returnvalue', job.value,
    'prev', 'active')
end

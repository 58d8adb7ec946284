--- @include "keepFinished"
--- @include "releaseDeduplication"
--- @include "removeJobKeys"
--- @include "settleParentOfCompleted"

local function completeJob(keys, meta, job, batch, now)
  batch.ended = batch.ended + 1
  if job.deduplicationId then
    releaseDeduplication(keys, meta, job.id, job.deduplicationId, now)
  end
  if job.parentKey then
    settleParentOfCompleted(job.key, job.parentKey, job.parent, job.value, now)
  end
  if job.keep.count == 0 then
    removeJobKeys(job.key)
  else
    redis.call('HSET', job.key, 'atm', job.made, 'returnvalue', job.value, 'finishedOn', now)
    keepFinished(batch.completed, job, now)
  end
  redis.call('XADD', keys.events, '*', 'event', 'completed', 'jobId', job.id, 'returnvalue', job.value,
    'prev', 'active')
end

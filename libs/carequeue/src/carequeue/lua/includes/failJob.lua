--- @late
--- @include "blockParent"
--- @include "keepFinished"
--- @include "keepsNone"
--- @include "leaveParent"
--- @include "releaseDeduplication"
--- @include "removeJobKeys"
--- @include "sendLetter"
--- @include "settleParentOfFailed"

local function failJob(keys, meta, job, failed, now)
  failed.count = failed.count + 1
  if job.deduplicationId then
    releaseDeduplication(keys, meta, job.id, job.deduplicationId, now)
  end
  if job.parentKey then
    settleParentOfFailed(job.key, job.parentKey, job.parent, job.value, now)
  end
  if job.letters then
    sendLetter(keys, job, job.letters, now)
  end
  if keepsNone(job.keep) then
    removeJobKeys(job.key)
    if job.parentKey then
      leaveParent(job.key, job.parentKey, job.parent, now)
    end
  else
    redis.call('HSET', job.key, 'atm', job.made, 'failedReason', job.value, 'stacktrace', job.stacktrace,
      'finishedOn', now)
    redis.call('HDEL', job.key, 'defa')
    keepFinished(failed, job, now)
    job.blocksParent = job.parentKey and blockParent(job.key, job.parentKey, job.parent, job.value)
  end
  if job.expired then
    redis.call('XADD', keys.events, '*', 'event', 'expired', 'jobId', job.id)
  end
  redis.call('XADD', keys.events, '*', 'event', 'failed', 'jobId', job.id, 'failedReason', job.value,
    'prev', 'active')
  if job.made >= job.attempts and not job.expired then
    redis.call('XADD', keys.events, '*', 'event', 'retries-exhausted', 'jobId', job.id, 'attemptsMade', job.made)
  end
end

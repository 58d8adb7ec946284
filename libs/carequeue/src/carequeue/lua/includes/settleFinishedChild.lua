--- @include "blockParent"
--- @include "settleParentOfCompleted"
--- @include "settleParentOfFailed"

-- Tells the parent of a job that was tied to it late what the job came to, if it has finished.
local function settleFinishedChild(keys, id, parentKey, parent, now)
  local jobKey = keys.base .. ':' .. id
  if redis.call('ZSCORE', keys.completed, id) then
    settleParentOfCompleted(jobKey, parentKey, parent, redis.call('HGET', jobKey, 'returnvalue') or 'null', now)
  elseif redis.call('ZSCORE', keys.failed, id) then
    local reason = redis.call('HGET', jobKey, 'failedReason') or ''
    settleParentOfFailed(jobKey, parentKey, parent, reason, now)
    blockParent(jobKey, parentKey, parent, reason)
  end
end

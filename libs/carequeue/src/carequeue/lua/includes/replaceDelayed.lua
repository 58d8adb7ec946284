--- @include "leaveParent"
--- @include "removeJobKeys"

-- Removes the owner of a deduplication window in favour of `id`, if it is still delayed; says whether it was.
local function replaceDelayed(keys, owner, id, deduplicationId, now)
  if redis.call('ZREM', keys.delayed, owner) == 0 then
    return false
  end
  local ownerKey = keys.base .. ':' .. owner
  local ties = redis.call('HMGET', ownerKey, 'parentKey', 'parent')
  removeJobKeys(ownerKey)
  if ties[1] then
    leaveParent(ownerKey, ties[1], ties[2], now)
  end
  redis.call('XADD', keys.events, '*', 'event', 'removed', 'jobId', owner, 'prev', 'delayed')
  redis.call('XADD', keys.events, '*', 'event', 'deduplicated', 'jobId', id, 'deduplicationId', deduplicationId,
    'deduplicatedJobId', owner)
  return true
end

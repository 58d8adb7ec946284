--- @late
--- @include "queueKeys"
--- @include "splitJobKey"
--- @include "failParent"
--- @include "releaseParent"
--- @include "releaseWithoutPending"

-- A child failed for good: its flags decide what that means for the parent. Without one the parent goes on waiting.
local function settleParentOfFailed(jobKey, parentKey, parent, reason, now)
  local base, id, flags = splitJobKey(parentKey, parent)
  if not (flags.fpof or flags.cpof or flags.idof or flags.rdof) then
    return
  end
  if redis.call('SREM', parentKey .. ':dependencies', jobKey) == 0 or redis.call('EXISTS', parentKey) == 0 then
    return
  end
  local parentKeys = queueKeys(base)
  if flags.fpof then
    failParent(parentKeys, id, parentKey, jobKey, now)
    return
  end
  if flags.cpof or flags.idof then
    redis.call('HSET', parentKey .. ':failed', jobKey, reason)
  end
  if not flags.cpof then
    releaseWithoutPending(parentKeys, id, parentKey, now)
  elseif redis.call('ZREM', parentKeys.waitingChildren, id) == 1 then
    releaseParent(parentKeys, id, now, false)
  end
end

--- @late
--- @include "queueKeys"
--- @include "splitJobKey"
--- @include "releaseWithoutPending"

-- A child completed: its value goes to the parent, which goes on if this was the last one.
local function settleParentOfCompleted(jobKey, parentKey, parent, value, now)
  if redis.call('SREM', parentKey .. ':dependencies', jobKey) == 0 or redis.call('EXISTS', parentKey) == 0 then
    return
  end
  redis.call('HSET', parentKey .. ':processed', jobKey, value)
  local base, id = splitJobKey(parentKey, parent)
  releaseWithoutPending(queueKeys(base), id, parentKey, now)
end

--- @include "queueKeys"
--- @include "splitJobKey"
--- @include "releaseWithoutPending"

-- The child is gone: its parent no longer waits for it.
local function leaveParent(jobKey, parentKey, parent, now)
  if redis.call('SREM', parentKey .. ':dependencies', jobKey) == 1 and redis.call('EXISTS', parentKey) == 1 then
    local base, id = splitJobKey(parentKey, parent)
    releaseWithoutPending(queueKeys(base), id, parentKey, now)
  end
end

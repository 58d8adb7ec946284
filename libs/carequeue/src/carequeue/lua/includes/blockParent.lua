--- @include "splitJobKey"

-- A child that failed and does not say what that means keeps its parent waiting: says so in the parent's queue, and
-- answers whether it is so.
local function blockParent(jobKey, parentKey, parent, reason)
  if redis.call('SISMEMBER', parentKey .. ':dependencies', jobKey) == 0 or redis.call('EXISTS', parentKey) == 0 then
    return false
  end
  local base, id = splitJobKey(parentKey, parent)
  redis.call('XADD', base .. ':events', '*', 'event', 'blocked', 'jobId', id, 'child', jobKey, 'failedReason', reason)
  return true
end

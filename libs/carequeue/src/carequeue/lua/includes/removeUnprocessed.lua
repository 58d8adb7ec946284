--- @include "queueKeys"
--- @include "splitJobKey"
--- @include "isHeld"
--- @include "removeJob"
--- @include "untie"

-- Removes the pending children of a job with their pending children. What failed or is held by a worker stays, and so
-- does a child with a descendant that is held. Answers how many children of the job itself are gone.
local function removeUnprocessed(jobKey, now)
  local gone = 0
  for _, childKey in ipairs(redis.call('SMEMBERS', jobKey .. ':dependencies')) do
    local base, id = splitJobKey(childKey)
    local keys = queueKeys(base)
    if not isHeld(childKey, true) and not redis.call('ZSCORE', keys.failed, id) then
      untie(childKey, now)
      removeUnprocessed(childKey, now)
      removeJob(keys, id, now, false)
      gone = gone + 1
    end
  end
  return gone
end

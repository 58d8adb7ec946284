--- @late
--- @include "removeJobKeys"
--- @include "leaveParent"
--- @include "forgetDeduplication"

-- Deletes a job that is in no list any more, with its ties to a parent and a deduplication window.
local function discardJob(keys, id, now)
  local jobKey = keys.base .. ':' .. id
  local ties = redis.call('HMGET', jobKey, 'parentKey', 'parent', 'deid')
  removeJobKeys(jobKey)
  if ties[1] then
    leaveParent(jobKey, ties[1], ties[2], now)
  end
  if ties[3] then
    forgetDeduplication(keys, id, ties[3])
  end
end

--- @late
--- @include "expectChild"
--- @include "forgetDeduplication"
--- @include "queueKeys"
--- @include "removeJobKeys"
--- @include "splitJobKey"

-- Takes a finished job away so that it can be added anew under its id. Answers whether there was one, and the key and
-- text of its parent if that still waits: the new one is its child again.
local function giveWay(keys, id)
  if redis.call('ZREM', keys.completed, id) == 0 and redis.call('ZREM', keys.failed, id) == 0 then
    return false
  end
  local jobKey = keys.base .. ':' .. id
  local ties = redis.call('HMGET', jobKey, 'parentKey', 'parent', 'deid')
  local parentKey, parent = ties[1], ties[2]
  if ties[3] then
    forgetDeduplication(keys, id, ties[3])
  end
  if parentKey then
    local base, parentId = splitJobKey(parentKey, parent)
    if redis.call('ZSCORE', queueKeys(base).waitingChildren, parentId) then
      expectChild(keys, id)
    else
      parentKey = nil
    end
  end
  removeJobKeys(jobKey)
  return true, parentKey or nil, parent
end

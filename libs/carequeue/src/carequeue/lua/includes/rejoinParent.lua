--- @include "settleParentOfCompleted"

-- Links a job that exists already to the parent that it is added with (again).
local function rejoinParent(keys, id, parentKey, parent, now)
  local jobKey = keys.base .. ':' .. id
  redis.call('HSET', jobKey, 'parentKey', parentKey, 'parent', parent)
  redis.call('SADD', parentKey .. ':dependencies', jobKey)
  if redis.call('ZSCORE', keys.completed, id) then
    settleParentOfCompleted(jobKey, parentKey, parent, redis.call('HGET', jobKey, 'returnvalue') or 'null', now)
  end
end

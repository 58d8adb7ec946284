--- @include "forgetIdleGroup"
--- @include "groupKey"

-- Takes a job that waits in its group out of it; says whether it did.
local function withdrawFromGroup(keys, id)
  if redis.call('ZREM', keys.groupsWaiting, id) == 0 then
    return false
  end
  local group = redis.call('HGET', keys.base .. ':' .. id, 'gid')
  if not group then
    return false -- another job by now: BullMQ removed the one that waited here, and did not know where
  end
  redis.call('ZREM', groupKey(keys, group, 'wait'), id)
  forgetIdleGroup(keys, group)
  return true
end

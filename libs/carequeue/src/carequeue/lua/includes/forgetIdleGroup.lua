--- @include "groupKey"

-- A group without waiting jobs takes no part in the turns. Answers whether it has none.
local function forgetIdleGroup(keys, group)
  if redis.call('EXISTS', groupKey(keys, group, 'wait')) == 1 then
    return false
  end
  redis.call('ZREM', keys.groupTurns, group)
  redis.call('ZREM', keys.groupsLimited, group)
  return true
end

--- @include "countTowardsLimit"
--- @include "forgetIdleGroup"
--- @include "groupKey"
--- @include "groupRoom"
--- @include "placeGroup"
--- @include "takeTurn"

-- Takes the next job of a group whose turn it is, and puts the group behind the others. Answers its id, or nil: the group
-- may start nothing after all, or what waited is no job of the group any more (BullMQ removed it).
local function takeFromGroup(keys, group)
  local room, _, limits = groupRoom(keys, group)
  local id = room > 0 and redis.call('ZPOPMIN', groupKey(keys, group, 'wait'))[1]
  if id then
    local owner = redis.call('HGET', keys.base .. ':' .. id, 'gid')
    if owner and owner ~= group or redis.call('ZREM', keys.groupsWaiting, id) == 0 or not owner then
      forgetIdleGroup(keys, group)
      return nil
    end
    redis.call('ZADD', keys.groupsActive, 0, group .. '\0' .. id)
    if limits.max then
      countTowardsLimit({limiter = groupKey(keys, group, 'limiter')}, limits.duration or 0, 1)
    end
  end
  if not forgetIdleGroup(keys, group) then
    if room > 1 then
      takeTurn(keys, group)
    else
      placeGroup(keys, group)
    end
  end
  return id or nil
end

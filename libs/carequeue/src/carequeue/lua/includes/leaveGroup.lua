--- @late
--- @include "placeGroup"

-- A job of a group left `active`, however it did: another one of the group may start, if it was that which kept them.
local function leaveGroup(keys, id, group)
  if redis.call('ZREM', keys.groupsActive, group .. '\0' .. id) == 1
    and redis.call('ZSCORE', keys.groupTurns, group) == 'inf' then
    placeGroup(keys, group)
  end
end

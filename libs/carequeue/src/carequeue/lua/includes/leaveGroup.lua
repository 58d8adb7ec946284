--- @include "placeGroup"

-- A job of a group left `active`, however it did: another one of the group may start.
local function leaveGroup(keys, id, group)
  if redis.call('ZREM', keys.groupsActive, group .. '\0' .. id) == 1 then
    placeGroup(keys, group)
  end
end

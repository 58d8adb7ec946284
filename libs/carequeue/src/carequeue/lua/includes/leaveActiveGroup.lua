--- @include "leaveGroup"

-- Lets go of the place in its group of a job that was taken out of `active`, if it has one.
local function leaveActiveGroup(keys, id)
  local group = redis.call('HGET', keys.base .. ':' .. id, 'gid')
  if group then
    leaveGroup(keys, id, group)
  end
end

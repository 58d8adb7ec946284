--- @include "groupRoom"
--- @include "serverNow"
--- @include "takeTurn"

-- Lets a group that has waiting jobs take part in the turns, or keeps it out while it is paused, full or limited.
-- Answers whether a worker should look: the group may be served, or its window is one to come back for, or to come back
-- for sooner than was known.
local function placeGroup(keys, group)
  local turn = redis.call('ZSCORE', keys.groupTurns, group)
  if not turn then
    return false
  end
  local room, pause = groupRoom(keys, group)
  if room > 0 then
    redis.call('ZREM', keys.groupsLimited, group)
    if turn == 'inf' then
      takeTurn(keys, group)
    end
    return true
  end
  redis.call('ZADD', keys.groupTurns, 'inf', group)
  if pause > 0 then
    local known, opens = redis.call('ZSCORE', keys.groupsLimited, group), serverNow() + pause + 1
    redis.call('ZADD', keys.groupsLimited, opens, group)
    return not known or opens < tonumber(known)
  end
  redis.call('ZREM', keys.groupsLimited, group)
  return false
end

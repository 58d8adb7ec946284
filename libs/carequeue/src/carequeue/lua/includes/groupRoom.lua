--- @include "activeInGroup"
--- @include "allowedByLimit"
--- @include "groupKey"
--- @include "groupLimits"

-- How many jobs of a group may start now, for how many ms its rate limit lets none (0 if something else does), and
-- what holds for the group.
local function groupRoom(keys, group)
  local limits = groupLimits(keys, group)
  if limits.paused then
    return 0, 0, limits
  end
  local room = 9007199254740991
  if limits.concurrency then
    room = limits.concurrency - activeInGroup(keys, group)
    if room <= 0 then
      return 0, 0, limits
    end
  end
  local allowed, pause = allowedByLimit({limiter = groupKey(keys, group, 'limiter')}, limits.max, room)
  return allowed, pause, limits
end

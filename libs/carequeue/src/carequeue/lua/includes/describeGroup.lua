--- @include "activeInGroup"
--- @include "groupKey"
--- @include "groupRoom"

-- What is to know of a group: {id, waiting, active, what keeps its jobs from starting (ready | paused | maxed | limited),
-- for how many ms its rate limit does}.
local function describeGroup(keys, group)
  local room, pause, limits = groupRoom(keys, group)
  local status = 'ready'
  if limits.paused then
    status = 'paused'
  elseif room <= 0 then
    status = pause > 0 and 'limited' or 'maxed'
  end
  return {group, redis.call('ZCARD', groupKey(keys, group, 'wait')), activeInGroup(keys, group), status, pause}
end

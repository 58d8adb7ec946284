--- @include "nextDue"

-- Tells idle workers when the earliest delayed job is due. Written while paused too: it is only a time.
local function wakeWhenDue(keys)
  local due = nextDue(keys)
  if due then
    redis.call('ZADD', keys.marker, due, '1')
  end
end

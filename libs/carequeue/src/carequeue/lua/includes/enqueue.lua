--- @include "enqueueInGroup"

-- Makes a job available, at the back of its class or (atFront) at the head; one of a group waits in there.
-- Priority 0 is the list `wait`, taken from the right; others are ranked in `prioritized`, lowest score first.
local function enqueue(keys, id, priority, atFront, group)
  if group then
    enqueueInGroup(keys, id, group, priority, atFront)
  elseif priority > 0 then
    local place = 0
    if not atFront then
      place = redis.call('INCR', keys.pc) % 4294967296
    end
    redis.call('ZADD', keys.prioritized, priority * 4294967296 + place, id)
  elseif atFront then
    redis.call('RPUSH', keys.wait, id)
  else
    redis.call('LPUSH', keys.wait, id)
  end
end

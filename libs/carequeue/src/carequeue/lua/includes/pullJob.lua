--- @include "withdrawFromGroup"

-- Takes the id out of whatever list or set holds it and answers the state that this was, in the words of events;
-- nil if none does. The sorted sets first: they find a member without looking at the others.
local function pullJob(keys, id)
  local ranked = {
    {keys.delayed, 'delayed'}, {keys.prioritized, 'prioritized'}, {keys.completed, 'completed'},
    {keys.failed, 'failed'}, {keys.waitingChildren, 'waiting-children'},
  }
  for _, place in ipairs(ranked) do
    if redis.call('ZREM', place[1], id) == 1 then
      return place[2]
    end
  end
  if withdrawFromGroup(keys, id) then
    return 'wait'
  end
  for _, place in ipairs({{keys.active, 'active'}, {keys.wait, 'wait'}, {keys.paused, 'paused'}}) do
    if redis.call('LREM', place[1], 0, id) > 0 then
      return place[2]
    end
  end
end

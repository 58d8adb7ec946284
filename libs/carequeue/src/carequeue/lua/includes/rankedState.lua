-- The state of a job that one of the sorted sets holds, or nothing.
local function rankedState(keys, id)
  local ranked = {
    {keys.completed, 'completed'}, {keys.failed, 'failed'}, {keys.delayed, 'delayed'},
    {keys.prioritized, 'prioritized'}, {keys.waitingChildren, 'waiting-children'},
  }
  for _, place in ipairs(ranked) do
    if redis.call('ZSCORE', place[1], id) then
      return place[2]
    end
  end
end

--- @include "rankedState"

-- What became of the run that a scheduler waits for: 'pending' it has not started, 'started' a worker holds it or did
-- until just now, 'ended', or 'lost' it is nowhere. Says also whether the lists had to be looked through for it.
local function runState(keys, runId)
  local jobKey = keys.base .. ':' .. runId
  if redis.call('EXISTS', jobKey .. ':lock') == 1 then
    return 'started', false
  elseif redis.call('EXISTS', jobKey) == 0 then
    return 'lost', false
  end
  local ranked = rankedState(keys, runId)
  if ranked then
    local finished = ranked == 'completed' or ranked == 'failed'
    return finished and 'ended' or ranked == 'waiting-children' and 'started' or 'pending', false
  end
  if redis.call('ZSCORE', keys.groupsWaiting, runId) and redis.call('HEXISTS', jobKey, 'gid') == 1 then
    return 'pending', false
  end
  for _, place in ipairs({{keys.wait, 'pending'}, {keys.paused, 'pending'}, {keys.active, 'started'}}) do
    if redis.call('LPOS', place[1], runId) then
      return place[2], true
    end
  end
  return 'lost', true
end

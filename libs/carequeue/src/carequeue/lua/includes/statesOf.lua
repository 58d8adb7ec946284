--- @include "rankedState"

-- Where each of these jobs is, as getState says it. However many they are, a list is read once, and no further than the
-- last of them.
local function statesOf(keys, ids)
  local PAGE = 1000
  local states, places, missing = {}, {}, 0
  for at, id in ipairs(ids) do
    local state = rankedState(keys, id)
    if not state then
      places[id] = at
      missing = missing + 1
    end
    states[at] = state or ''
  end

  local function readList(list, state)
    local first = 0
    repeat
      local found = missing > 0 and redis.call('LRANGE', list, first, first + PAGE - 1) or {}
      for _, id in ipairs(found) do
        local at = places[id]
        if at then
          states[at] = state
          places[id] = nil
          missing = missing - 1
        end
      end
      first = first + PAGE
    until #found < PAGE
  end

  readList(keys.active, 'active')
  readList(keys.wait, 'waiting')
  readList(keys.paused, 'waiting')
  for id, at in pairs(places) do
    if redis.call('ZSCORE', keys.groupsWaiting, id) then
      states[at] = 'waiting'
    end
  end
  return states
end

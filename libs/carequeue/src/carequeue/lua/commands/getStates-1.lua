--[[
  Says where each of these jobs is. However many they are, a list is read once, and no further than the last of them.

  KEYS[1]  base key of the queue

  ARGV[1…] for each job 1 argument: its id; no id twice

  Output: for each job, in the same order: what getState says
  Events: none
]]
--- @include "queueKeys"
--- @include "rankedState"

local PAGE = 1000
local keys = queueKeys(KEYS[1])
local states, places, missing = {}, {}, 0
for at = 1, #ARGV do
  local state = rankedState(keys, ARGV[at])
  if not state then
    places[ARGV[at]] = at
    missing = missing + 1
  end
  states[at] = state or ''
end

local function readList(list, state)
  local first = 0
  repeat
    local ids = missing > 0 and redis.call('LRANGE', list, first, first + PAGE - 1) or {}
    for _, id in ipairs(ids) do
      local at = places[id]
      if at then
        states[at] = state
        places[id] = nil
        missing = missing - 1
      end
    end
    first = first + PAGE
  until #ids < PAGE
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

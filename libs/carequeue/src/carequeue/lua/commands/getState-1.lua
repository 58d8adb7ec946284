--[[
  Says where a job is.

  KEYS[1]  base key of the queue

  ARGV[1]  job id

  Output: completed | failed | delayed | prioritized | waiting-children | active | waiting, or empty
  Events: none
]]
--- @include "queueKeys"
--- @include "rankedState"

local keys = queueKeys(KEYS[1])
local id = ARGV[1]
local ranked = rankedState(keys, id)
if ranked then
  return ranked
end
for _, place in ipairs({{keys.active, 'active'}, {keys.wait, 'waiting'}, {keys.paused, 'waiting'}}) do
  if redis.call('LPOS', place[1], id) then
    return place[2]
  end
end
return redis.call('ZSCORE', keys.groupsWaiting, id) and 'waiting' or ''

--[[
  Says where a job is.

  KEYS[1]  base key of the queue

  ARGV[1]  job id

  Output: completed | failed | delayed | prioritized | waiting-children | active | waiting, or empty
  Events: none
]]
--- @include "queueKeys"

local keys = queueKeys(KEYS[1])
local id = ARGV[1]
local ranked = {
  {keys.completed, 'completed'}, {keys.failed, 'failed'}, {keys.delayed, 'delayed'},
  {keys.prioritized, 'prioritized'}, {keys.waitingChildren, 'waiting-children'},
}
for _, place in ipairs(ranked) do
  if redis.call('ZSCORE', place[1], id) then
    return place[2]
  end
end
for _, place in ipairs({{keys.active, 'active'}, {keys.wait, 'waiting'}, {keys.paused, 'waiting'}}) do
  if redis.call('LPOS', place[1], id) then
    return place[2]
  end
end
return ''

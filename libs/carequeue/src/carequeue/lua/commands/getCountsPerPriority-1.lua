--[[
  Counts the jobs that wait to be taken, by their priority.

  KEYS[1]  base key of the queue

  ARGV[1…] priorities

  Output: how many there are of each; those without a priority have 0
  Events: none
]]
--- @include "queueKeys"
--- @include "listLength"

local CLASS = 4294967296

local keys = queueKeys(KEYS[1])
local counts = {}
for place = 1, #ARGV do
  local priority = tonumber(ARGV[place])
  if priority == 0 then
    counts[place] = listLength(keys.wait) + listLength(keys.paused)
  else
    counts[place] = redis.call('ZCOUNT', keys.prioritized, priority * CLASS, (priority + 1) * CLASS - 1)
  end
end
return counts

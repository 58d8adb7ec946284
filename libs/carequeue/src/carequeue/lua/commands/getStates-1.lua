--[[
  Says where each of these jobs is.

  KEYS[1]  base key of the queue

  ARGV[1…] for each job 1 argument: its id; no id twice

  Output: for each job, in the same order: what getState says
  Events: none
]]
--- @include "queueKeys"
--- @include "statesOf"

local ids = {}
for at = 1, #ARGV do
  ids[at] = ARGV[at]
end
return statesOf(queueKeys(KEYS[1]), ids)

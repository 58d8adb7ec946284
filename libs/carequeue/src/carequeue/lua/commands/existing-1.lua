--[[
  Says which of these jobs exist.

  KEYS[1]  base key of the queue

  ARGV[1…] for each job 1 argument: its id

  Output: the ids of those that exist
  Events: none
]]
local found = {}
for at = 1, #ARGV do
  if redis.call('EXISTS', KEYS[1] .. ':' .. ARGV[at]) == 1 then
    found[#found + 1] = ARGV[at]
  end
end
return found

--[[
  Reads jobs with the keys of their children.

  KEYS[1]  base key of one of the queues; in a cluster the others are in its slot

  ARGV[1]  how many children of each at most
  ARGV[2…] for each job 2 arguments: base key of its queue (empty: KEYS[1]), id

  Output: for each job {hash, keys of its children}; a hash is {field, value, …}, empty for a job that is not there
  Events: none
]]
--- @include "someChildKeys"

local families = {}
for at = 2, #ARGV, 2 do
  local jobKey = (ARGV[at] ~= '' and ARGV[at] or KEYS[1]) .. ':' .. ARGV[at + 1]
  families[#families + 1] = {redis.call('HGETALL', jobKey), someChildKeys(jobKey, tonumber(ARGV[1]))}
end
return families

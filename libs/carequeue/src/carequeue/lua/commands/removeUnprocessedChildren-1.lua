--[[
  Removes the children of a job that have not run, with theirs. What failed or is held by a worker stays.

  KEYS[1]  base key of the queue

  ARGV[1]  now, ms
  ARGV[2]  job id

  Output: how many children were removed, or -1 no such job
  Events: removed, waiting, delayed
]]
--- @include "queueKeys"
--- @include "queueMeta"
--- @include "removeUnprocessed"
--- @include "trimEvents"

local keys = queueKeys(KEYS[1])
local jobKey = keys.base .. ':' .. ARGV[2]
if redis.call('EXISTS', jobKey) == 0 then
  return -1
end
local gone = removeUnprocessed(jobKey, tonumber(ARGV[1]))
trimEvents(keys, queueMeta(keys))
return gone

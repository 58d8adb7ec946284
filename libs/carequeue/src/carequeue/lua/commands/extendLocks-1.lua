--[[
  Renews the locks that a worker holds, all in one call.

  KEYS[1]  base key of the queue

  ARGV[1]  lock duration, ms
  ARGV[2…] for each job 2 arguments: id, token

  Output: the ids whose lock ran out or belongs to somebody else
  Events: none
]]
--- @include "queueKeys"
--- @include "callMany"

local keys = queueKeys(KEYS[1])
local renewed, lost = {}, {}
for at = 2, #ARGV, 2 do
  local id, token = ARGV[at], ARGV[at + 1]
  local lockKey = keys.base .. ':' .. id .. ':lock'
  if redis.call('GET', lockKey) == token then
    redis.call('SET', lockKey, token, 'PX', ARGV[1])
    renewed[#renewed + 1] = id
  else
    lost[#lost + 1] = id
  end
end
callMany('SREM', keys.stalled, renewed)
return lost

--[[
  Sets or removes limits of the whole queue; workers that may start more now hear of it.

  KEYS[1]  base key of the queue

  ARGV[1…] for each limit 2 arguments: its field in `meta`, its value or empty to remove it

  Output: nothing
  Events: none
]]
--- @include "queueKeys"
--- @include "queueMeta"
--- @include "wakeForWork"

local keys = queueKeys(KEYS[1])

for at = 1, #ARGV, 2 do
  if ARGV[at + 1] == '' then
    redis.call('HDEL', keys.meta, ARGV[at])
  else
    redis.call('HSET', keys.meta, ARGV[at], ARGV[at + 1])
  end
end
wakeForWork(keys, queueMeta(keys))

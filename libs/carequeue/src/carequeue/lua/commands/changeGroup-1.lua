--[[
  Changes the settings of a group, or those that all groups have; a worker hears of it if the group may start more now.
  After a change for all groups `placeGroups` does the rest.

  KEYS[1]  base key of the queue

  ARGV[1]  group id, empty: all groups
  ARGV[2…] for each setting 2 arguments: its name (paused | concurrency | max | duration | size), its value or empty to
           remove it

  Output: nothing
  Events: none
]]
--- @include "queueKeys"
--- @include "queueMeta"
--- @include "decodeObject"
--- @include "placeGroup"
--- @include "wakeForWork"

local keys = queueKeys(KEYS[1])
local group, settings = ARGV[1], keys.groupSettings
local stored = decodeObject(redis.call('HGET', settings, group))
for at = 2, #ARGV, 2 do
  stored[ARGV[at]] = tonumber(ARGV[at + 1])
end
if next(stored) then
  redis.call('HSET', settings, group, cjson.encode(stored))
else
  redis.call('HDEL', settings, group)
end
if group ~= '' and placeGroup(keys, group) then
  wakeForWork(keys, queueMeta(keys))
end

--[[
  What is to know of one group, and the settings of it and of all groups.

  KEYS[1]  base key of the queue

  ARGV[1]  group id

  Output: {{id, waiting, active, ready | paused | maxed | limited, for how many ms it is limited}, its settings JSON or '',
          those of all groups JSON or ''}
  Events: none
]]
--- @include "queueKeys"
--- @include "describeGroup"

local keys = queueKeys(KEYS[1])
local found = redis.call('HMGET', keys.groupSettings, ARGV[1], '')
return {describeGroup(keys, ARGV[1]), found[1] or '', found[2] or ''}

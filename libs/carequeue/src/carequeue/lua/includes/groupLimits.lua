--- @late
--- @include "decodeObject"

-- What holds for a group: its own settings, and where it has none those of all groups (the field without a name).
local function groupLimits(keys, group)
  local found = redis.call('HMGET', keys.groupSettings, group, '')
  local own, shared = decodeObject(found[1]), decodeObject(found[2])
  local rate = own.max and own or shared
  return {
    paused = own.paused,
    concurrency = tonumber(own.concurrency or shared.concurrency),
    max = tonumber(rate.max),
    duration = tonumber(rate.duration),
    size = tonumber(own.size or shared.size),
  }
end

--- @include "placeGroup"
--- @include "serverNow"

-- Lets groups take turns again whose rate limit's window has ended, at most 1000 to bound the time of one call.
local function openGroups(keys)
  local limited = keys.groupsLimited
  for _, group in ipairs(redis.call('ZRANGEBYSCORE', limited, '-inf', serverNow(), 'LIMIT', 0, 1000)) do
    redis.call('ZREM', limited, group)
    placeGroup(keys, group)
  end
end

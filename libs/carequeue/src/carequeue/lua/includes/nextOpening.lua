--- @include "serverNow"

-- In how many ms the window of a limited group ends, of the first one that does; nil without one.
local function nextOpening(keys)
  local first = redis.call('ZRANGE', keys.groupsLimited, 0, 0, 'WITHSCORES')
  return first[2] and math.max(tonumber(first[2]) - serverNow(), 1) or nil
end

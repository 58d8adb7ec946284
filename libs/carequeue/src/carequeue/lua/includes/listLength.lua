--- @include "isMarker"

-- How many ids a list holds, without the marker that BullMQ 4 may have left at its end.
local function listLength(list)
  local length = redis.call('LLEN', list)
  local last = length > 0 and redis.call('LINDEX', list, -1)
  if last and isMarker(last) then
    return length - 1
  end
  return length
end

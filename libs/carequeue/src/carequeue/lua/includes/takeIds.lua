--- @include "callMany"
--- @include "isMarker"
--- @include "takeGroupedIds"

-- Moves up to `free` ids into `active`, in the order in which they start: `wait` from its right, then `prioritized`, then
-- the groups. Answers them and, if there were fewer, in how many ms a group that is limited may be served.
local function takeIds(keys, free)
  local ids = {}
  while #ids < free do
    local popped = redis.call('RPOP', keys.wait, free - #ids)
    if not popped or #popped == 0 then
      break
    end
    for _, id in ipairs(popped) do
      if not isMarker(id) then
        ids[#ids + 1] = id
      end
    end
  end
  if #ids < free then
    local asked = free - #ids
    local popped = redis.call('ZPOPMIN', keys.prioritized, asked)
    for at = 1, #popped, 2 do
      ids[#ids + 1] = popped[at]
    end
    if #popped < asked * 2 then
      redis.call('DEL', keys.pc) -- nobody left to be behind of: places count from the start again
    end
  end
  callMany('LPUSH', keys.active, ids)
  if #ids == free or redis.call('EXISTS', keys.groupTurns) == 0 then
    return ids
  end
  local grouped, groupsDue = takeGroupedIds(keys, free - #ids)
  for _, id in ipairs(grouped) do
    ids[#ids + 1] = id
  end
  return ids, groupsDue
end

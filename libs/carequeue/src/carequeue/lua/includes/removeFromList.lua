--- @include "callMany"

-- Takes these ids out of a list in one pass, however many there are; LREM would make one for each.
local function removeFromList(list, ids)
  local gone, stay = {}, {}
  for _, id in ipairs(ids) do
    gone[id] = true
  end
  for _, id in ipairs(redis.call('LRANGE', list, 0, -1)) do
    if not gone[id] then
      stay[#stay + 1] = id
    end
  end
  redis.call('DEL', list)
  callMany('RPUSH', list, stay)
end

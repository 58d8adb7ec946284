-- Takes what is on these places out of a list in one pass, however many there are; LREM by id would make one for each.
local function removePlaces(list, places)
  local GONE = '0:gone' -- an id that no job has
  for _, place in ipairs(places) do
    redis.call('LSET', list, place, GONE)
  end
  if #places > 0 then
    redis.call('LREM', list, 0, GONE)
  end
end

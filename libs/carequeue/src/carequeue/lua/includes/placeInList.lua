-- From which place a list of `length` ids is read on, `before` being how many ids were behind the page before, and its last
-- ids. Where the old end did not change, the number tells. Else the ids do, from the one nearest to the new end as far as
-- they still stand together: one of them may have been put to the old end meanwhile. Without any it is the number again.
local function placeInList(list, length, before)
  if #before == 0 then
    return 0
  end
  local counted = math.max(0, length - tonumber(before[1]))
  if counted > 0 and redis.call('LINDEX', list, counted - 1) == before[2] then
    return counted
  end
  local nearest, there = nil, {}
  for at = 2, #before do
    local place = redis.call('LPOS', list, before[at])
    if place then
      there[place] = true
      nearest = math.min(nearest or place, place)
    end
  end
  if not nearest then
    return counted
  end
  while there[nearest + 1] do
    nearest = nearest + 1
  end
  return nearest + 1
end

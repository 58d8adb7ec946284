--- @include "comesBefore"

-- From which place a sorted set is read on, `before` being the score and id of the last one read, there or not.
local function placeInSet(set, before)
  if #before == 0 then
    return 0
  end
  local score, id = before[1], before[2]
  if tonumber(redis.call('ZSCORE', set, id) or nil) == tonumber(score) then
    return redis.call('ZRANK', set, id) + 1
  end
  local low, high = redis.call('ZCOUNT', set, '-inf', '(' .. score), redis.call('ZCOUNT', set, '-inf', score)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if comesBefore(redis.call('ZRANGE', set, middle, middle)[1], id) then
      low = middle + 1
    else
      high = middle
    end
  end
  return low
end

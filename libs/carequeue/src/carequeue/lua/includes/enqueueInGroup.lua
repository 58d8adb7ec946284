--- @late
--- @include "groupKey"
--- @include "placeGroup"

-- Lets a job wait in its group, at the back of its class of priority or (atFront) at the head. Answers whether a worker
-- should look.
local function enqueueInGroup(keys, id, group, priority, atFront)
  local waiting = groupKey(keys, group, 'wait')
  local first = priority * 4294967296
  local last = first + 4294967295
  local place = first + 2147483648 -- in the middle of its class: others may come before it and behind it
  if atFront then
    local head = redis.call('ZRANGEBYSCORE', waiting, first, last, 'WITHSCORES', 'LIMIT', 0, 1)
    place = head[2] and math.max(tonumber(head[2]) - 1, first) or place
  else
    local tail = redis.call('ZREVRANGEBYSCORE', waiting, last, first, 'WITHSCORES', 'LIMIT', 0, 1)
    place = tail[2] and math.min(tonumber(tail[2]) + 1, last) or place
  end
  redis.call('ZADD', waiting, place, id)
  local newest = redis.call('ZRANGE', keys.groupsWaiting, -1, -1, 'WITHSCORES')
  redis.call('ZADD', keys.groupsWaiting, (tonumber(newest[2] or nil) or 0) + 1, id)
  local turn = redis.call('ZSCORE', keys.groupTurns, group)
  if turn then
    return turn ~= 'inf'
  end
  redis.call('ZADD', keys.groupTurns, 'inf', group)
  return placeGroup(keys, group)
end

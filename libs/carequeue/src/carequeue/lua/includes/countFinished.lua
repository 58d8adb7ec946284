--- @late
--- @include "callMany"

-- Adds jobs that ended as `kind` to the queue's metrics: a count, and how many ended in each of the last `points`
-- minutes, the newest first. A minute gets its number when a later one begins.
local function countFinished(keys, kind, jobs, points, now)
  local metrics = keys.base .. ':metrics:' .. kind
  local before = redis.call('HINCRBY', metrics, 'count', jobs) - jobs
  local stored = redis.call('HMGET', metrics, 'prevTS', 'prevCount')
  if not stored[1] then
    redis.call('HSET', metrics, 'prevTS', now, 'prevCount', 0)
    return
  end
  local minutes = math.min(math.floor(now / 60000) - math.floor(tonumber(stored[1]) / 60000), points)
  if minutes < 1 then
    return
  end
  local ended = {before - (tonumber(stored[2] or nil) or 0)}
  for place = 2, minutes do
    ended[place] = 0
  end
  callMany('LPUSH', metrics .. ':data', ended)
  redis.call('LTRIM', metrics .. ':data', 0, points - 1)
  redis.call('HSET', metrics, 'prevCount', before, 'prevTS', now)
end

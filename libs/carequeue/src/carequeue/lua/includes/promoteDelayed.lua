--- @include "callMany"
--- @include "enqueue"

-- Moves delayed jobs that are due to where workers take them. At most 1000, to bound the time of one call.
local function promoteDelayed(keys, now)
  local due = redis.call('ZRANGEBYSCORE', keys.delayed, 0, (now + 1) * 4096 - 1, 'LIMIT', 0, 1000)
  if #due == 0 then
    return 0
  end
  callMany('ZREM', keys.delayed, due)
  local plain = {}
  for _, id in ipairs(due) do
    local jobKey = keys.base .. ':' .. id
    local stored = redis.call('HMGET', jobKey, 'priority', 'gid', 'timestamp')
    if stored[3] or redis.call('EXISTS', jobKey) == 1 then -- one whose hash is gone must not become a job without a name
      local priority = tonumber(stored[1] or nil) or 0
      if priority > 0 or stored[2] then
        enqueue(keys, id, priority, false, stored[2])
      else
        plain[#plain + 1] = id
      end
      redis.call('XADD', keys.events, '*', 'event', 'waiting', 'jobId', id, 'prev', 'delayed')
      redis.call('HSET', jobKey, 'delay', 0)
    end
  end
  callMany('LPUSH', keys.wait, plain)
  return #due
end

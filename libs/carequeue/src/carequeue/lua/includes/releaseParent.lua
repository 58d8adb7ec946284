--- @include "enqueue"
--- @include "postponeExpiry"
--- @include "queueMeta"
--- @include "wakeWorker"
--- @include "wakeWhenDue"

-- Lets a parent that waited for children go on, before others of its class. `atOnce` ignores a delay of its own.
local function releaseParent(keys, id, now, atOnce)
  local jobKey = keys.base .. ':' .. id
  local job = redis.call('HMGET', jobKey, 'priority', 'delay', 'opts', 'gid')
  local priority, delay = tonumber(job[1] or nil) or 0, tonumber(job[2] or nil) or 0
  postponeExpiry(jobKey, job[3], now + (atOnce and 0 or delay))
  if delay > 0 and not atOnce then
    local due = now + delay
    redis.call('ZADD', keys.delayed, due * 4096, id)
    redis.call('XADD', keys.events, '*', 'event', 'delayed', 'jobId', id, 'delay', due)
    wakeWhenDue(keys)
    return
  end
  enqueue(keys, id, priority, priority == 0, job[4])
  redis.call('XADD', keys.events, '*', 'event', 'waiting', 'jobId', id, 'prev', 'waiting-children')
  wakeWorker(keys, queueMeta(keys))
end

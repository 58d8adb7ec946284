--- @include "enqueue"
--- @include "postponeExpiry"

-- Makes finished or delayed jobs available again, each in its class, and says so. `erased` names the field of the
-- result that a finished job gives up, and its time to live counts from `now`; a delayed one gives up its delay.
local function requeue(keys, id, state, erased, atFront, now)
  local jobKey = keys.base .. ':' .. id
  local job = redis.call('HMGET', jobKey, 'priority', 'opts', 'gid')
  if erased then
    postponeExpiry(jobKey, job[2], now)
    redis.call('HDEL', jobKey, 'finishedOn', 'processedOn', erased)
  else
    redis.call('HSET', jobKey, 'delay', 0)
  end
  enqueue(keys, id, tonumber(job[1] or nil) or 0, atFront, job[3])
  redis.call('XADD', keys.events, '*', 'event', 'waiting', 'jobId', id, 'prev', state)
end

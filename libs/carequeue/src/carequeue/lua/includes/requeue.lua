--- @include "enqueue"

-- Makes finished or delayed jobs available again, each in its class, and says so. `erased` names the field of the
-- result that a finished job gives up; a delayed one gives up its delay.
local function requeue(keys, id, state, erased, atFront)
  local jobKey = keys.base .. ':' .. id
  if erased then
    redis.call('HDEL', jobKey, 'finishedOn', 'processedOn', erased)
  else
    redis.call('HSET', jobKey, 'delay', 0)
  end
  enqueue(keys, id, tonumber(redis.call('HGET', jobKey, 'priority') or nil) or 0, atFront)
  redis.call('XADD', keys.events, '*', 'event', 'waiting', 'jobId', id, 'prev', state)
end

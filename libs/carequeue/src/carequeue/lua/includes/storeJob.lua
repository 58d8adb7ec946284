--- @include "delayedScore"
--- @include "enqueueInGroup"
--- @include "writeJob"

-- Writes a new job and ranks it, and says where it belongs: 'delayed', 'prioritized', 'group', 'blocked' (in a group that
-- no worker need look at now), or 'wait', whose list is the caller's to push to, so that many jobs need one push. A delay
-- wins over a priority.
local function storeJob(keys, id, job)
  local group = writeJob(keys, id, job)
  local delay, priority = tonumber(job.delay), tonumber(job.priority)
  if delay > 0 then
    local due = tonumber(job.timestamp) + delay
    redis.call('ZADD', keys.delayed, delayedScore(keys, due), id)
    redis.call('XADD', keys.events, '*', 'event', 'delayed', 'jobId', id, 'delay', due)
    return 'delayed'
  end
  redis.call('XADD', keys.events, '*', 'event', 'waiting', 'jobId', id)
  if group then
    return enqueueInGroup(keys, id, group, priority, job.lifo) and 'group' or 'blocked'
  end
  if priority > 0 then
    local place = redis.call('INCR', keys.pc) % 4294967296
    redis.call('ZADD', keys.prioritized, priority * 4294967296 + place, id)
    return 'prioritized'
  end
  return 'wait'
end

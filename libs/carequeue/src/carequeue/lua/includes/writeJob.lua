--- @include "groupOf"

-- Writes a new job's hash and says so. Answers its group, if it has one; `job.group` is it, or false, where that is known.
local function writeJob(keys, id, job)
  local jobKey = keys.base .. ':' .. id
  redis.call('HSET', jobKey, 'name', job.name, 'data', job.data, 'opts', job.opts, 'timestamp', job.timestamp,
    'delay', job.delay, 'priority', job.priority)
  if job.parentKey and job.parentKey ~= '' then
    redis.call('HSET', jobKey, 'parentKey', job.parentKey, 'parent', job.parent)
  end
  if job.rjk and job.rjk ~= '' then
    redis.call('HSET', jobKey, 'rjk', job.rjk)
  end
  if job.deid and job.deid ~= '' then
    redis.call('HSET', jobKey, 'deid', job.deid)
  end
  local group = job.group
  if group == nil then
    group = groupOf(job.opts)
  end
  if group then
    redis.call('HSET', jobKey, 'gid', group)
    redis.call('ZREM', keys.groupsWaiting, id) -- if BullMQ removed a job of this id, it is still noted there
  end
  redis.call('XADD', keys.events, '*', 'event', 'added', 'jobId', id, 'name', job.name)
  return group
end

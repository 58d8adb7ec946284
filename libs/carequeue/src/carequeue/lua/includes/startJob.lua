-- Marks a job of `active` as started by the holder of `token` and answers what a worker needs of it; nil if the job
-- itself is gone. The order of the fields is known to store/commands.py.
local function startJob(keys, id, now, token, lockDuration, worker)
  local jobKey = keys.base .. ':' .. id
  local fields = redis.call('HMGET', jobKey, 'name', 'data', 'opts', 'timestamp', 'delay', 'priority', 'atm', 'ats',
    'stc', 'parentKey', 'parent', 'rjk', 'defa', 'deid', 'progress', 'stacktrace', 'tm')
  if not fields[4] and redis.call('EXISTS', jobKey) == 0 then
    redis.call('LREM', keys.active, 1, id)
    return nil
  end
  redis.call('SET', jobKey .. ':lock', token, 'PX', lockDuration)
  redis.call('XADD', keys.events, '*', 'event', 'active', 'jobId', id, 'prev', 'waiting')
  local started = string.format('%.0f', (tonumber(fields[8] or nil) or 0) + 1)
  if worker ~= '' then
    redis.call('HSET', jobKey, 'processedOn', now, 'ats', started, 'pb', worker)
  else
    redis.call('HSET', jobKey, 'processedOn', now, 'ats', started)
  end
  fields[8] = started
  return fields
end

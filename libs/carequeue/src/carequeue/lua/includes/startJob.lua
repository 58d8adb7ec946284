--- @include "isExpired"

-- Marks a job of `active` as started by the holder of `token`. Answers what a worker needs of it, in the order that
-- store/commands.py knows and as far as there is something, and whether the job is condemned; nil if it is gone. A job
-- that has expired is condemned as well, and has not started.
local function startJob(keys, id, now, token, lockDuration, worker)
  local jobKey = keys.base .. ':' .. id
  local fields = redis.call('HMGET', jobKey, 'name', 'data', 'opts', 'timestamp', 'delay', 'priority', 'ats', 'atm',
    'stacktrace', 'stc', 'parentKey', 'parent', 'rjk', 'deid', 'progress', 'tm', 'defa')
  if not fields[4] and redis.call('EXISTS', jobKey) == 0 then
    redis.call('LREM', keys.active, 1, id)
    return nil
  end
  redis.call('SET', jobKey .. ':lock', token, 'PX', lockDuration)
  redis.call('XADD', keys.events, '*', 'event', 'active', 'jobId', id, 'prev', 'waiting')
  -- The options are read only of a job that speaks of it: decoding them costs more than all the rest here.
  if fields[3] and string.find(fields[3], '"expireA', 1, true) and isExpired(jobKey, fields[3], fields[4], now) then
    fields[17] = 'expired'
    return fields, true
  end
  local started = fields[7] and string.format('%.0f', (tonumber(fields[7]) or 0) + 1) or '1'
  if worker ~= '' then
    redis.call('HSET', jobKey, 'processedOn', now, 'ats', started, 'pb', worker)
  else
    redis.call('HSET', jobKey, 'processedOn', now, 'ats', started)
  end
  local condemned = fields[17]
  fields[7] = started
  for place = 17, 8, -1 do -- nearly always most of them are unset: not worth a reply
    if fields[place] then
      break
    end
    fields[place] = nil
  end
  return fields, condemned
end

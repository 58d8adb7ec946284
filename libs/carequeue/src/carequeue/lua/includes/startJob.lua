--- @include "isExpired"
--- @include "readForWorker"

-- Marks a job of `active` as started by the holder of `token`. Answers what a worker needs of it, as far as there is
-- something, and whether the job is condemned; nil if it is gone. A job that has expired is condemned as well, and has
-- not started. Of a first attempt without delay and priority the first four fields are answered, which tells the rest.
local function startJob(keys, id, now, token, lockDuration, worker)
  local jobKey = keys.base .. ':' .. id
  local fields = readForWorker(jobKey)
  if not fields then
    redis.call('LREM', keys.active, 1, id)
    return nil
  end
  redis.call('SET', jobKey .. ':lock', token, 'PX', lockDuration)
  redis.call('XADD', keys.events, '*', 'event', 'active', 'jobId', id, 'prev', 'waiting')
  -- The options are read only of a job that speaks of it: decoding them costs more than all the rest here.
  if fields[3] and string.find(fields[3], '"expireA', 1, true) and isExpired(jobKey, fields[3], fields[4], now) then
    for place = 7, 16 do
      fields[place] = fields[place] or false
    end
    fields[17] = 'expired'
    return fields, true
  end
  local started = fields[7] and string.format('%.0f', (tonumber(fields[7]) or 0) + 1) or '1'
  if worker ~= '' then
    redis.call('HSET', jobKey, 'processedOn', now, 'ats', started, 'pb', worker)
  else
    redis.call('HSET', jobKey, 'processedOn', now, 'ats', started)
  end
  local last, condemned = #fields, fields[17]
  if last == 6 and fields[5] == '0' and fields[6] == '0' then
    fields[5], fields[6] = nil, nil
    return fields
  end
  fields[7] = started
  for place = last, 8, -1 do
    if fields[place] then
      break
    end
    fields[place] = nil
  end
  return fields, condemned
end

-- What a worker needs of a job, in the order that store/commands.py knows: six fields that every job has, and up to 17
-- if the job has more than those; nil without a job.
local function readForWorker(jobKey)
  local fields = redis.call('HMGET', jobKey, 'name', 'data', 'opts', 'timestamp', 'delay', 'priority')
  local known = 0
  for place = 1, 6 do
    if fields[place] then
      known = known + 1
    end
  end
  -- Few jobs have more before their first attempt, and each field that is asked for and not there costs as well.
  local stored = redis.call('HLEN', jobKey)
  if stored > known then
    local more = redis.call('HMGET', jobKey, 'ats', 'atm', 'stacktrace', 'stc', 'parentKey', 'parent', 'rjk', 'deid',
      'progress', 'tm', 'defa')
    for place = 1, 11 do
      fields[6 + place] = more[place]
    end
  end
  return stored > 0 and fields or nil
end

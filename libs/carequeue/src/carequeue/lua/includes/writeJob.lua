-- Writes a new job's hash and says so.
local function writeJob(keys, id, job)
  local fields = {
    'name', job.name, 'data', job.data, 'opts', job.opts, 'timestamp', job.timestamp,
    'delay', job.delay, 'priority', job.priority,
  }
  for _, optional in ipairs({'parentKey', 'parent', 'rjk', 'deid'}) do
    if job[optional] and job[optional] ~= '' then
      fields[#fields + 1] = optional
      fields[#fields + 1] = job[optional]
    end
  end
  redis.call('HSET', keys.base .. ':' .. id, unpack(fields))
  redis.call('XADD', keys.events, '*', 'event', 'added', 'jobId', id, 'name', job.name)
end

-- Deletes the job's hash and what hangs on it, not its lock.
local function removeJobKeys(jobKey)
  redis.call('DEL', jobKey, jobKey .. ':logs', jobKey .. ':dependencies', jobKey .. ':processed',
    jobKey .. ':failed', jobKey .. ':unsuccessful')
end

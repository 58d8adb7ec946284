-- Whether a worker that woke up now could take a job: the queue is neither paused nor at its global concurrency.
local function mayTake(keys, meta)
  if meta.paused then
    return false
  end
  return not meta.concurrency or redis.call('LLEN', keys.active) < meta.concurrency
end

-- What the queue's `meta` hash says about taking jobs.
local function queueMeta(keys)
  local meta = redis.call('HMGET', keys.meta, 'paused', 'concurrency', 'max', 'duration', 'opts.maxLenEvents', 'version')
  return {
    paused = meta[1],
    concurrency = tonumber(meta[2] or nil),
    max = tonumber(meta[3] or nil),
    duration = tonumber(meta[4] or nil),
    maxEvents = tonumber(meta[5] or nil) or 10000,
    announced = meta[5] and meta[6],
  }
end

-- Notes in a new queue's `meta` what clients look for there.
local function announceQueue(keys, meta, maxEvents, version)
  if meta.announced then
    return
  end
  if redis.call('HSETNX', keys.meta, 'opts.maxLenEvents', maxEvents) == 1 then
    meta.maxEvents = tonumber(maxEvents)
  end
  redis.call('HSETNX', keys.meta, 'version', version)
end

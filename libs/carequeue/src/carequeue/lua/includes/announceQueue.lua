-- Notes in a new queue's `meta` what clients look for there.
local function announceQueue(keys, meta, maxEvents, version)
  if not meta.announced then
    redis.call('HSETNX', keys.meta, 'opts.maxLenEvents', maxEvents)
    redis.call('HSETNX', keys.meta, 'version', version)
  end
end

--- @include "mayTake"

-- Wakes one idle worker, unless it could not take anything anyway.
local function wakeWorker(keys, meta)
  if mayTake(keys, meta) then
    redis.call('ZADD', keys.marker, 0, '0')
  end
end

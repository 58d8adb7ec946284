--- @include "wakeWorker"

-- A place became free that nobody may fill right away: wakes a worker if jobs wait.
local function wakeForWork(keys, meta)
  if redis.call('LLEN', keys.wait) + redis.call('ZCARD', keys.prioritized) > 0 then
    wakeWorker(keys, meta)
  end
end

-- Lets `id` own a deduplication window: for the time of its rule, else until the job ends. A rule that keeps the last job
-- has no time: the window must outlast the active job.
local function openWindow(windowKey, id, rule)
  local span = tonumber(rule.ttl) or 0
  if span > 0 and not rule.keepLastIfActive then
    redis.call('SET', windowKey, id, 'PX', span)
  else
    redis.call('SET', windowKey, id)
  end
end

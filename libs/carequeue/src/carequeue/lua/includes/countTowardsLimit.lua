-- Counts started jobs in the window of the rate limit; the first one opens it.
local function countTowardsLimit(keys, window, started)
  if started > 0 and redis.call('INCRBY', keys.limiter, started) == started then
    redis.call('PEXPIRE', keys.limiter, window)
  end
end


-- Whether jobs wait that a worker may take, or that it should know of because the rate limit of their group will end.
local function hasWork(keys)
  if redis.call('LLEN', keys.wait) + redis.call('ZCARD', keys.prioritized) > 0 then
    return true
  end
  if redis.call('EXISTS', keys.groupTurns) == 0 then
    return false
  end
  return redis.call('ZRANGE', keys.groupTurns, 0, 0, 'WITHSCORES')[2] ~= 'inf' or redis.call('EXISTS', keys.groupsLimited) == 1
end

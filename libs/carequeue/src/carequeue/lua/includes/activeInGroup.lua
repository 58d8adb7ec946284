
-- How many jobs of a group are active. All groups share one sorted set of `group\0id`, which is in order of its text.
local function activeInGroup(keys, group)
  return redis.call('ZLEXCOUNT', keys.groupsActive, '[' .. group .. '\0', '(' .. group .. '\1')
end

--- @include "groupKey"
--- @include "placeGroup"
--- @include "someWindow"

-- Looks at some of the jobs that wait in groups: one that BullMQ removed is noted no longer, and one whose group lost it, or
-- its turn, is served again.
local function repairWaiting(keys, count)
  local from = someWindow(redis.call('ZCARD', keys.groupsWaiting), count)
  for _, id in ipairs(redis.call('ZRANGE', keys.groupsWaiting, from, from + count - 1)) do
    local stored = redis.call('HMGET', keys.base .. ':' .. id, 'gid', 'priority')
    local group = stored[1]
    if not group then
      redis.call('ZREM', keys.groupsWaiting, id)
    else
      local last = ((tonumber(stored[2] or nil) or 0) + 1) * 4294967296 - 1
      redis.call('ZADD', groupKey(keys, group, 'wait'), 'NX', last, id)
      if redis.call('ZADD', keys.groupTurns, 'NX', 'inf', group) == 1 then
        placeGroup(keys, group)
      end
    end
  end
end

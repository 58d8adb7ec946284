--- @include "leaveGroup"
--- @include "placeGroup"
--- @include "queueMeta"
--- @include "repairWaiting"
--- @include "someWindow"
--- @include "wakeForWork"

-- BullMQ's own workers and commands move jobs without knowing of groups. Once an interval: gives back the places of jobs
-- that are not active any more, and looks again at some of the waiting jobs and of the groups that are kept out of the turns.
local function repairGroups(keys, interval)
  if redis.call('EXISTS', keys.groupsActive, keys.groupTurns, keys.groupsWaiting) == 0
    or not redis.call('SET', keys.groupsChecked, 1, 'PX', interval, 'NX') then
    return
  end
  local active = {}
  for _, id in ipairs(redis.call('LRANGE', keys.active, 0, -1)) do
    active[id] = true
  end
  for _, place in ipairs(redis.call('ZRANGE', keys.groupsActive, 0, -1)) do
    local group, id = string.match(place, '^(.-)%z(.*)$')
    if not active[id] then
      leaveGroup(keys, id, group)
    end
  end
  repairWaiting(keys, 1000)
  local blocked = redis.call('ZCOUNT', keys.groupTurns, 'inf', 'inf')
  local from = someWindow(blocked, 100)
  for _, group in ipairs(redis.call('ZRANGEBYSCORE', keys.groupTurns, 'inf', 'inf', 'LIMIT', from, 100)) do
    placeGroup(keys, group)
  end
  wakeForWork(keys, queueMeta(keys))
end

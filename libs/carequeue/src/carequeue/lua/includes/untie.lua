--- @include "leaveParent"

-- A job is about to go: its parent, if it has one, no longer waits for it.
local function untie(jobKey, now)
  local tie = redis.call('HMGET', jobKey, 'parentKey', 'parent')
  if tie[1] then
    leaveParent(jobKey, tie[1], tie[2], now)
  end
end

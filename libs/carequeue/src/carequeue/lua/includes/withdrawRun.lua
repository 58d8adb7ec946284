--- @include "leaveActiveGroup"
--- @include "removeJobKeys"
--- @include "withdrawFromGroup"

-- Takes a run that nobody holds out of wherever it waits, with all that is left of it.
local function withdrawRun(keys, runId)
  local _ = redis.call('ZREM', keys.delayed, runId) == 1 or redis.call('ZREM', keys.prioritized, runId) == 1
    or withdrawFromGroup(keys, runId) or redis.call('LREM', keys.wait, 0, runId) > 0
    or redis.call('LREM', keys.paused, 0, runId) > 0 or redis.call('LREM', keys.active, 0, runId) > 0
  leaveActiveGroup(keys, runId)
  removeJobKeys(keys.base .. ':' .. runId)
end

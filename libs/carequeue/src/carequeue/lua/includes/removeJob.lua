--- @include "queueKeys"
--- @include "queueMeta"
--- @include "splitJobKey"
--- @include "childKeysOf"
--- @include "discardJob"
--- @include "leaveActiveGroup"
--- @include "pullJob"
--- @include "untie"
--- @include "wakeForWork"

-- Removes a job from wherever it is, its descendants first if `deep`, and says so. `seen` are those that are going.
local function removeJob(keys, id, now, deep, seen)
  local jobKey = keys.base .. ':' .. id
  seen = seen or {}
  if deep and not seen[jobKey] then
    seen[jobKey] = true
    untie(jobKey, now) -- before its children let it go on for a moment
    for _, childKey in ipairs(childKeysOf(jobKey)) do
      local childBase, childId = splitJobKey(childKey)
      removeJob(queueKeys(childBase), childId, now, true, seen)
    end
  end
  local state = pullJob(keys, id)
  if state == 'active' then
    leaveActiveGroup(keys, id)
  end
  if redis.call('EXISTS', jobKey) == 0 then
    return
  end
  discardJob(keys, id, now)
  redis.call('SREM', keys.stalled, id)
  redis.call('XADD', keys.events, '*', 'event', 'removed', 'jobId', id, 'prev', state or 'unknown')
  if state == 'active' then
    wakeForWork(keys, queueMeta(keys))
  end
end

--- @include "enqueue"
--- @include "queueMeta"
--- @include "wakeWorker"
--- @include "releaseParent"

-- Condemns a parent whose child failed: whoever takes it next fails it, so it must be takable at once.
local function failParent(parentKeys, parentId, parentKey, childKey, now)
  redis.call('ZADD', parentKey .. ':unsuccessful', now, childKey)
  redis.call('HSET', parentKey, 'defa', 'child ' .. childKey .. ' failed')
  if redis.call('ZREM', parentKeys.waitingChildren, parentId) == 1 then
    releaseParent(parentKeys, parentId, now, true)
  elseif redis.call('ZREM', parentKeys.delayed, parentId) == 1 then
    redis.call('HSET', parentKey, 'delay', 0)
    local stored = redis.call('HMGET', parentKey, 'priority', 'gid')
    enqueue(parentKeys, parentId, tonumber(stored[1] or nil) or 0, false, stored[2])
    redis.call('XADD', parentKeys.events, '*', 'event', 'waiting', 'jobId', parentId, 'prev', 'delayed')
    wakeWorker(parentKeys, queueMeta(parentKeys))
  end
end

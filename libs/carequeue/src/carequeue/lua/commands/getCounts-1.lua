--[[
  Counts the jobs of every state.

  KEYS[1]  base key of the queue

  Output: {waiting, prioritized, delayed, active, completed, failed, waiting-children, 1 if paused}
  Events: none
]]
--- @include "queueKeys"
--- @include "listLength"

local keys = queueKeys(KEYS[1])
return {
  listLength(keys.wait) + listLength(keys.paused) + redis.call('ZCARD', keys.groupsWaiting),
  redis.call('ZCARD', keys.prioritized),
  redis.call('ZCARD', keys.delayed), listLength(keys.active), redis.call('ZCARD', keys.completed),
  redis.call('ZCARD', keys.failed), redis.call('ZCARD', keys.waitingChildren),
  redis.call('HEXISTS', keys.meta, 'paused'),
}

--- @include "delayedScore"
--- @include "openWindow"
--- @include "postponeExpiry"
--- @include "wakeWhenDue"

-- A new job (`id`) found its deduplication window taken: what it leaves behind although it is not added.
local function keepOutDuplicate(keys, owner, id, job, rule)
  local windowKey = keys.base .. ':de:' .. rule.id
  local kept = rule.keepLastIfActive and redis.call('LPOS', keys.active, owner)
  if kept then
    -- it is added when the active one ends, unless another one takes its place before
    local pendingKey = keys.base .. ':dn:' .. rule.id
    redis.call('DEL', pendingKey)
    redis.call('HSET', pendingKey, 'name', job.name, 'data', job.data, 'opts', job.opts, 'jid', id)
    redis.call('PERSIST', windowKey)
  elseif rule.extend and not rule.replace and (tonumber(rule.ttl) or 0) > 0 then
    openWindow(windowKey, owner, rule)
  end
  if kept or not rule.replace then
    redis.call('XADD', keys.events, '*', 'event', 'deduplicated', 'jobId', owner, 'deduplicationId', rule.id,
      'deduplicatedJobId', id)
  end
  if rule.reschedule and not rule.replace and redis.call('ZSCORE', keys.delayed, owner) then
    local due = tonumber(job.timestamp) + tonumber(job.delay)
    local ownerKey = keys.base .. ':' .. owner
    redis.call('HSET', ownerKey, 'delay', job.delay)
    postponeExpiry(ownerKey, redis.call('HGET', ownerKey, 'opts'), due)
    redis.call('ZADD', keys.delayed, delayedScore(keys, due), owner)
    redis.call('XADD', keys.events, '*', 'event', 'delayed', 'jobId', owner, 'delay', due)
    wakeWhenDue(keys)
  end
end

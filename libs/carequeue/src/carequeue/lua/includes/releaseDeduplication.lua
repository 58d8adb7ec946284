--- @late
--- @include "decodeObject"
--- @include "openWindow"
--- @include "storeJob"
--- @include "enqueue"
--- @include "wakeWorker"
--- @include "wakeWhenDue"

-- A job that owned a deduplication window finished. A window with a time to live runs out by itself; one that lasts as
-- long as its job ends here, and a job that was kept for "after the active one" is added now.
local function releaseDeduplication(keys, meta, id, deduplicationId, now)
  local windowKey = keys.base .. ':de:' .. deduplicationId
  local pendingKey = keys.base .. ':dn:' .. deduplicationId
  local owner = redis.call('GET', windowKey)
  if owner and (owner ~= id or redis.call('PTTL', windowKey) > 0) then
    return
  end
  redis.call('DEL', windowKey)
  local pending = redis.call('HMGET', pendingKey, 'name', 'data', 'opts', 'jid', 'pk', 'pd', 'pdk', 'rjk')
  if not pending[1] then
    return
  end
  redis.call('DEL', pendingKey)
  local opts = decodeObject(pending[3])
  local counted = redis.call('INCR', keys.id)
  local nextId = pending[4] or string.format('%.0f', counted)
  openWindow(windowKey, nextId, type(opts.de) == 'table' and opts.de or {})
  local where = storeJob(keys, nextId, {
    name = pending[1], data = pending[2] or '{}', opts = pending[3] or '{}',
    timestamp = now, delay = tonumber(opts.delay) or 0,
    priority = tonumber(type(opts.group) == 'table' and opts.group.priority or opts.priority) or 0,
    lifo = opts.lifo == true,
    parentKey = pending[5], parent = pending[6], rjk = pending[8], deid = deduplicationId,
  })
  if pending[5] and pending[7] then
    redis.call('SADD', pending[7], keys.base .. ':' .. nextId)
  end
  if where == 'delayed' then
    wakeWhenDue(keys)
    return
  end
  if where == 'wait' then
    enqueue(keys, nextId, 0, opts.lifo == true)
  end
  if where ~= 'blocked' then
    wakeWorker(keys, meta)
  end
end

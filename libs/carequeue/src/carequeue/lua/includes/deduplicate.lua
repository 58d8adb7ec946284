--- @late
--- @include "keepOutDuplicate"
--- @include "openWindow"
--- @include "replaceDelayed"

-- Whether a new job (`id`) may be added by its deduplication rule: answers the id of the job that keeps it out, or nil
-- if the window is now its own.
local function deduplicate(keys, id, job, rule, now)
  local windowKey = keys.base .. ':de:' .. rule.id
  local owner = redis.call('GET', windowKey)
  if not owner then
    openWindow(windowKey, id, rule)
    return nil
  end
  if rule.replace and replaceDelayed(keys, owner, id, rule.id, now) then
    redis.call('DEL', keys.base .. ':dn:' .. rule.id)
    if (tonumber(rule.ttl) or 0) > 0 and not rule.extend and not rule.keepLastIfActive then
      redis.call('SET', windowKey, id, 'KEEPTTL')
    else
      openWindow(windowKey, id, rule)
    end
    return nil
  end
  if redis.call('PTTL', windowKey) == -1 and redis.call('EXISTS', keys.base .. ':' .. owner) == 0 then
    -- its owner vanished without ending: nobody else would ever close this window
    redis.call('DEL', keys.base .. ':dn:' .. rule.id)
    openWindow(windowKey, id, rule)
    return nil
  end
  keepOutDuplicate(keys, owner, id, job, rule)
  return owner
end

--- @late
--- @include "decodeObject"

-- Whether an attempt that starts now starts too late: past `expireAt`, or more than `expireAfter` ms after the job could
-- first run, which is when it was added and its delay was over, unless `postponeExpiry` noted a later moment.
local function isExpired(jobKey, opts, timestamp, now)
  local rule = decodeObject(opts)
  local at, after = tonumber(rule.expireAt), tonumber(rule.expireAfter)
  if at and now > at then
    return true
  end
  if not after then
    return false
  end
  local from = tonumber(redis.call('HGET', jobKey, 'expireFrom') or nil)
    or (tonumber(timestamp or nil) or now) + (tonumber(rule.delay) or 0)
  return now > from + after
end

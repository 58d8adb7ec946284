--- @late
--- @include "callMany"
--- @include "discardJob"

-- Removes finished jobs that the rule no longer keeps: first those too old (at most rule.limit), then those too many.
local function evictFinished(keys, set, rule, now)
  if rule.age >= 0 then
    local old = redis.call('ZRANGEBYSCORE', set, '-inf', now - rule.age, 'LIMIT', 0, rule.limit)
    for _, id in ipairs(old) do
      discardJob(keys, id, now)
    end
    callMany('ZREM', set, old)
  end
  if rule.count > 0 then
    local many = redis.call('ZRANGE', set, 0, -rule.count - 1)
    if #many > 0 then
      for _, id in ipairs(many) do
        discardJob(keys, id, now)
      end
      redis.call('ZREMRANGEBYRANK', set, 0, #many - 1)
    end
  end
end

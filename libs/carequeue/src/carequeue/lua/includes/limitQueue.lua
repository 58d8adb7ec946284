-- Lets nothing start for `span` ms: the window of the rate limit counts as full, as BullMQ's `rateLimit` writes it.
local function limitQueue(keys, span)
  redis.call('SET', keys.limiter, '9007199254740991', 'PX', span)
end

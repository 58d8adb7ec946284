-- Bounds the event stream; approximate, so whole stream nodes go at once.
local function trimEvents(keys, meta)
  redis.call('XTRIM', keys.events, 'MAXLEN', '~', meta.maxEvents)
end

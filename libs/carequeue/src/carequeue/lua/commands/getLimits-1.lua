--[[
  The limits of the queue, and what they do at the moment.

  KEYS[1]  base key of the queue

  ARGV[1]  a rate limit to ask about, jobs; empty: the queue's own

  Output: {global concurrency or '', global rate limit: jobs or '', ms or '', how many jobs are active, how many ms the
          rate limit still lets nothing start}
  Events: none
]]
--- @include "queueKeys"
--- @include "queueMeta"

local keys = queueKeys(KEYS[1])
local meta = queueMeta(keys)

local limit = tonumber(ARGV[1]) or meta.max
local started = tonumber(redis.call('GET', keys.limiter) or nil) or 0
local pause = 0
-- without a limit of its own the queue cannot tell a window that a worker's limit filled from one that it did not
if not limit or started >= limit then
  pause = math.max(redis.call('PTTL', keys.limiter), 0)
end
return {meta.concurrency or '', meta.max or '', meta.duration or '', redis.call('LLEN', keys.active), pause}

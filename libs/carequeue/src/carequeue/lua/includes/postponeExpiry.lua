-- The moment at which a job can run has moved to `from`, ms: its `expireAfter`, if it has one, counts anew.
local function postponeExpiry(jobKey, opts, from)
  if opts and string.find(opts, '"expireAfter"', 1, true) then
    redis.call('HSET', jobKey, 'expireFrom', from)
  end
end

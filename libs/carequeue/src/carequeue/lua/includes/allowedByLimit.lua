-- How many jobs the rate limit still lets start, and else for how many ms it lets none. No limit: all of them.
local function allowedByLimit(keys, limit, wanted)
  if not limit then
    return wanted, 0
  end
  local left = limit - (tonumber(redis.call('GET', keys.limiter) or nil) or 0)
  if left > 0 then
    return math.min(left, wanted), 0
  end
  local pause = redis.call('PTTL', keys.limiter)
  if pause > 0 then
    return 0, pause
  end
  redis.call('DEL', keys.limiter) -- a window without an end would never open again
  return math.min(limit, wanted), 0
end

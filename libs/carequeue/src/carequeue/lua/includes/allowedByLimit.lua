-- How many jobs the rate limit still lets start, and else for how many ms it lets none. Without a limit only a window
-- that is full by hand (`limitQueue`) counts.
local function allowedByLimit(keys, limit, wanted)
  local left = (limit or 9007199254740991) - (tonumber(redis.call('GET', keys.limiter) or nil) or 0)
  if left > 0 then
    return math.min(left, wanted), 0
  end
  local pause = redis.call('PTTL', keys.limiter)
  if pause > 0 then
    return 0, pause
  end
  redis.call('DEL', keys.limiter) -- a window without an end would never open again
  return math.min(limit or wanted, wanted), 0
end

-- Where to begin to look at `count` of `all` places, elsewhere at each call. Not by `math.random`: Redis 6.2 starts its numbers
-- anew for every script.
local function someWindow(all, count)
  return all > count and tonumber(redis.call('TIME')[2]) % (all - count + 1) or 0
end

-- When the earliest delayed job is due, in ms; nil without one.
local function nextDue(keys)
  local first = redis.call('ZRANGE', keys.delayed, 0, 0, 'WITHSCORES')
  if first[2] then
    return math.floor(tonumber(first[2]) / 4096)
  end
end

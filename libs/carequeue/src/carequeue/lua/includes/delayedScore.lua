-- The score of a job due at `due` ms: behind every job that is due in the same millisecond (4096 places each).
local function delayedScore(keys, due)
  local first = due * 4096
  local last = first + 4095
  local behind = redis.call('ZREVRANGEBYSCORE', keys.delayed, last, first, 'WITHSCORES', 'LIMIT', 0, 1)
  if behind[2] then
    return math.min(tonumber(behind[2]) + 1, last)
  end
  return first
end

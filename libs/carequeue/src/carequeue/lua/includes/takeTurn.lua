
-- Puts a group behind all others that may be served.
local function takeTurn(keys, group)
  local turns = keys.groupTurns
  local last = redis.call('ZREVRANGEBYSCORE', turns, '(inf', '-inf', 'WITHSCORES', 'LIMIT', 0, 1)
  redis.call('ZADD', turns, (tonumber(last[2] or nil) or 0) + 1, group)
end

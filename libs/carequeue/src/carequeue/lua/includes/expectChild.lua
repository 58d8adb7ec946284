-- A finished child runs again: its parent, if it still waits, waits for it again.
local function expectChild(keys, id)
  local jobKey = keys.base .. ':' .. id
  local parentKey = redis.call('HGET', jobKey, 'parentKey')
  if parentKey and redis.call('EXISTS', parentKey) == 1 then
    redis.call('SADD', parentKey .. ':dependencies', jobKey)
    redis.call('HDEL', parentKey .. ':processed', jobKey)
    redis.call('HDEL', parentKey .. ':failed', jobKey)
    redis.call('ZREM', parentKey .. ':unsuccessful', jobKey)
  end
end

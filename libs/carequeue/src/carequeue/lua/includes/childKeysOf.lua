-- The keys of all children that a job knows of, pending or done.
local function childKeysOf(jobKey)
  local found = redis.call('HKEYS', jobKey .. ':processed')
  local others = {
    redis.call('HKEYS', jobKey .. ':failed'), redis.call('ZRANGE', jobKey .. ':unsuccessful', 0, -1),
    redis.call('SMEMBERS', jobKey .. ':dependencies'),
  }
  for _, keys in ipairs(others) do
    for _, key in ipairs(keys) do
      found[#found + 1] = key
    end
  end
  return found
end

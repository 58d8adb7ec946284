-- The keys of all children that a job knows of, pending or done.
local function childKeysOf(jobKey)
  local found = redis.call('SMEMBERS', jobKey .. ':dependencies')
  local done = {
    redis.call('HKEYS', jobKey .. ':processed'), redis.call('HKEYS', jobKey .. ':failed'),
    redis.call('ZRANGE', jobKey .. ':unsuccessful', 0, -1),
  }
  for _, keys in ipairs(done) do
    for _, key in ipairs(keys) do
      found[#found + 1] = key
    end
  end
  return found
end

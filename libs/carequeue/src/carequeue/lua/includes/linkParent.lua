-- Ties a job that exists already to the parent that it is added with (again).
local function linkParent(keys, id, parentKey, parent)
  local jobKey = keys.base .. ':' .. id
  redis.call('HSET', jobKey, 'parentKey', parentKey, 'parent', parent)
  redis.call('SADD', parentKey .. ':dependencies', jobKey)
end

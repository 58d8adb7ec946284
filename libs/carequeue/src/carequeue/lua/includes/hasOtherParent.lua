-- Whether a job exists already and has another parent that lives.
local function hasOtherParent(keys, id, parentKey)
  local current = redis.call('HGET', keys.base .. ':' .. id, 'parentKey')
  return current and current ~= parentKey and redis.call('EXISTS', current) == 1
end

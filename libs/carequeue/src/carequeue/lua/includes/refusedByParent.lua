-- Why a job cannot get this parent: -5 the parent is missing, -7 the job exists and has another one that lives.
local function refusedByParent(keys, id, parentKey)
  if redis.call('EXISTS', parentKey) == 0 then
    return -5
  end
  if id == '' then
    return nil
  end
  local current = redis.call('HGET', keys.base .. ':' .. id, 'parentKey')
  if current and current ~= parentKey and redis.call('EXISTS', current) == 1 then
    return -7
  end
end

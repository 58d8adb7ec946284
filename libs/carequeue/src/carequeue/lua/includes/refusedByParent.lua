--- @late
--- @include "hasOtherParent"

-- Why a job cannot get this parent: -5 the parent is missing, -7 the job exists and has another one that lives.
local function refusedByParent(keys, id, parentKey)
  if redis.call('EXISTS', parentKey) == 0 then
    return -5
  end
  if id ~= '' and hasOtherParent(keys, id, parentKey) then
    return -7
  end
end

--- @include "childKeysOf"

-- Whether a worker holds the job or, with `deep`, one of its descendants.
local function isHeld(jobKey, deep)
  if redis.call('EXISTS', jobKey .. ':lock') == 1 then
    return true
  end
  if deep then
    for _, childKey in ipairs(childKeysOf(jobKey)) do
      if isHeld(childKey, true) then
        return true
      end
    end
  end
  return false
end

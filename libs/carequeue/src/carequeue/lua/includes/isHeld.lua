--- @include "childKeysOf"

-- Whether a worker holds the job or, with `deep`, one of its descendants. `seen` are those that were looked at: somebody
-- may have made a job its own descendant.
local function isHeld(jobKey, deep, seen)
  if redis.call('EXISTS', jobKey .. ':lock') == 1 then
    return true
  end
  seen = seen or {}
  if deep and not seen[jobKey] then
    seen[jobKey] = true
    for _, childKey in ipairs(childKeysOf(jobKey)) do
      if isHeld(childKey, true, seen) then
        return true
      end
    end
  end
  return false
end

--- @late
--- @include "linkParent"
--- @include "settleFinishedChild"

-- Links a job that exists already to the parent that it is added with (again).
local function rejoinParent(keys, id, parentKey, parent, now)
  linkParent(keys, id, parentKey, parent)
  settleFinishedChild(keys, id, parentKey, parent, now)
end

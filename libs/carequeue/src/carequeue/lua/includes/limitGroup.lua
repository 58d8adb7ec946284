--- @include "groupKey"
--- @include "limitQueue"
--- @include "placeGroup"

-- Lets no job of a group start for `span` ms. Answers whether a worker should look, to learn when to come back.
local function limitGroup(keys, group, span)
  limitQueue({limiter = groupKey(keys, group, 'limiter')}, span)
  return placeGroup(keys, group)
end

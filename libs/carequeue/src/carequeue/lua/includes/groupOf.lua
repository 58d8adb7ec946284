--- @include "decodeObject"

-- The group that a new job's options name, or nil. Hardly any job has one, so the word is looked for first.
local function groupOf(opts)
  if not string.find(opts, '"group"', 1, true) then
    return nil
  end
  local said = decodeObject(opts).group
  local id = type(said) == 'table' and said.id
  return (type(id) == 'string' or type(id) == 'number') and tostring(id) or nil
end

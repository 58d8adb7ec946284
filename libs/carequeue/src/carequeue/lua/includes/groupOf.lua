--- @include "decodeObject"

-- The group that a new job's options name, or nil; also for an id that carequeue itself would refuse, which others may
-- have written. Hardly any job has a group, so the word is looked for first.
local function groupOf(opts)
  if not string.find(opts, '"group"', 1, true) then
    return nil
  end
  local said = decodeObject(opts).group
  local id = type(said) == 'table' and said.id
  if type(id) == 'number' then
    return string.format('%.17g', id)
  end
  return type(id) == 'string' and string.find(id, '^%C+$') and id or nil
end

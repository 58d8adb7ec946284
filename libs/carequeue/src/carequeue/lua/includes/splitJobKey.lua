--- @include "decodeObject"

-- The queue key, id and flags behind a parent: from the child's `parent` text, else cut from the parent's key.
local function splitJobKey(jobKey, parent)
  local known = decodeObject(parent)
  if type(known.queueKey) == 'string' and jobKey == known.queueKey .. ':' .. tostring(known.id) then
    return known.queueKey, tostring(known.id), known
  end
  local base, id = string.match(jobKey, '^(.*):([^:]*)$')
  return base, id, known
end

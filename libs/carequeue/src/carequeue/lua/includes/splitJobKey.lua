-- The queue key, id and flags behind a parent: from the child's `parent` text, else cut from the parent's key.
local function splitJobKey(jobKey, parent)
  if parent and parent ~= '' then
    local known = cjson.decode(parent)
    if type(known.queueKey) == 'string' and known.id then
      return known.queueKey, tostring(known.id), known
    end
  end
  local base, id = string.match(jobKey, '^(.*):([^:]*)$')
  return base, id, {}
end

-- The object in a JSON text; an empty one for anything else. An error here would leave a script half done.
local function decodeObject(text)
  local fine, value = pcall(cjson.decode, text or '')
  return fine and type(value) == 'table' and value or {}
end

-- Whether a keep rule (`count/age ms/limit`) keeps no finished job at all.
local function keepsNone(rule)
  return string.sub(rule, 1, 2) == '0/'
end

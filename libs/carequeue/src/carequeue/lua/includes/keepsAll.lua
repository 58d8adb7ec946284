-- Whether a keep rule (`count/age ms/limit`) bounds neither the number nor the age of finished jobs.
local function keepsAll(rule)
  return string.sub(rule, 1, 6) == '-1/-1/'
end

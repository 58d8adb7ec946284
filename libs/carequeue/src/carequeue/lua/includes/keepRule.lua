-- Reads `count/age ms/limit`; a count of -1 and an age of -1 mean no bound.
local function keepRule(text)
  local count, age, limit = string.match(text, '^(-?%d+)/(-?%d+)/(%d+)$')
  return {count = tonumber(count), age = tonumber(age), limit = tonumber(limit)}
end

-- A key of one group: its waiting jobs in their order (`wait`), or the window of its rate limit (`limiter`).
local function groupKey(keys, group, suffix)
  return keys.base .. ':groups::' .. group .. ':' .. suffix
end

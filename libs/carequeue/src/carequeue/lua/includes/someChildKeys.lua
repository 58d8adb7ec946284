-- The keys of up to `most` children of a job: first those that are done, then the pending ones, then those that failed.
local function someChildKeys(jobKey, most)
  local found = {}
  local sources = {
    {'HSCAN', ':processed', 2}, {'SSCAN', ':dependencies', 1}, {'ZSCAN', ':unsuccessful', 2}, {'HSCAN', ':failed', 2},
  }
  for _, source in ipairs(sources) do
    local cursor, seen = '0', {}
    repeat
      local page = redis.call(source[1], jobKey .. source[2], cursor, 'COUNT', most)
      for at = 1, #page[2], source[3] do
        local key = page[2][at]
        if #found < most and not seen[key] then -- a scan may tell a member twice
          seen[key] = true
          found[#found + 1] = key
        end
      end
      cursor = page[1]
    until cursor == '0' or #found >= most
    if #found >= most then
      break
    end
  end
  return found
end

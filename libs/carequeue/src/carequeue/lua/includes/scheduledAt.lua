-- When the run that a scheduler waits for is due, as the text in its id; empty without such a scheduler.
local function scheduledAt(keys, schedulerId)
  local due = redis.call('ZSCORE', keys.repeats, schedulerId)
  return due and string.format('%.0f', tonumber(due)) or ''
end

-- Whether the job is the run that a living scheduler waits for: without it the chain of its runs would end.
local function isNextRun(keys, id, schedulerId)
  if not schedulerId then
    return false
  end
  local due = redis.call('ZSCORE', keys.repeats, schedulerId)
  return due and id == 'repeat:' .. schedulerId .. ':' .. string.format('%.0f', tonumber(due))
end

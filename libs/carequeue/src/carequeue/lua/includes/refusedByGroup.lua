--- @include "groupKey"
--- @include "groupLimits"

-- Why a new job cannot wait in its group: -14 as many as may wait there already do. `coming` counts, by group, the jobs
-- of this call. What is delayed, or there already and not to run again (`rerun`), takes no place now.
local function refusedByGroup(keys, id, group, delay, coming, rerun)
  if not group or delay > 0 then
    return nil
  end
  if id ~= '' and redis.call('EXISTS', keys.base .. ':' .. id) == 1 then
    local finished = redis.call('ZSCORE', keys.completed, id) or redis.call('ZSCORE', keys.failed, id)
    if not (rerun and finished) then
      return nil
    end
  end
  local size = groupLimits(keys, group).size
  if not size then
    return nil
  end
  coming[group] = (coming[group] or redis.call('ZCARD', groupKey(keys, group, 'wait'))) + 1
  return coming[group] > size and -14 or nil
end

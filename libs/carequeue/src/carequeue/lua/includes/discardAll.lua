--- @include "discardJob"
--- @include "isMarker"
--- @include "isNextRun"

-- Deletes these jobs, except the next runs of schedulers, and answers the ids that stay.
local function discardAll(keys, ids, now)
  local kept = {}
  for _, id in ipairs(ids) do
    if not isMarker(id) then
      if isNextRun(keys, id, redis.call('HGET', keys.base .. ':' .. id, 'rjk')) then
        kept[#kept + 1] = id
      else
        discardJob(keys, id, now)
      end
    end
  end
  return kept
end

--- @late
--- @include "hasWork"
--- @include "wakeWorker"

-- A place became free that nobody may fill right away: wakes a worker if jobs wait.
local function wakeForWork(keys, meta)
  if hasWork(keys) then
    wakeWorker(keys, meta)
  end
end

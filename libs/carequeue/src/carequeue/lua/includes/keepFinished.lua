--- @include "keepsAll"

-- Notes a finished job, to be written once for the whole batch, and its rule if others may be evicted by that.
local function keepFinished(finished, job, now)
  local members = finished.members
  local last = #members
  members[last + 1], members[last + 2] = now, job.id
  if not keepsAll(job.keep) then
    finished.rules[job.keep] = true
  end
end

-- Notes a finished job, to be written once for the whole batch, and the rule that may evict others for it.
local function keepFinished(finished, job, now)
  local members = finished.members
  local last = #members
  members[last + 1], members[last + 2] = now, job.id
  finished.rules[job.keep] = true
end

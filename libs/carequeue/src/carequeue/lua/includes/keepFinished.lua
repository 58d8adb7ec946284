-- Notes a finished job, to be written once for the whole batch, and the rule that may evict others for it.
local function keepFinished(finished, job, now)
  finished.members[#finished.members + 1] = now
  finished.members[#finished.members + 1] = job.id
  finished.rules[job.keep] = true
end

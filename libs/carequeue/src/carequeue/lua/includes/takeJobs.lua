--- @include "allowedByLimit"
--- @include "countTowardsLimit"
--- @include "startJob"
--- @include "takeIds"
--- @include "wakeWorker"

-- Starts up to `wanted` jobs for `taker` {tokenPrefix, tokenFrom, lock, worker, limit, window}. Answers
-- {id, fields, id, fields, …}, the ms left of a rate limit, and in how many ms a group that is limited may be served.
local function takeJobs(keys, meta, now, wanted, taker)
  local limit = meta.max or taker.limit -- the queue's own limit wins, but the worker's window
  local free, limitedFor = allowedByLimit(keys, limit, wanted)
  if not meta.paused and meta.concurrency then
    free = math.min(free, meta.concurrency - redis.call('LLEN', keys.active))
  end
  if meta.paused or free <= 0 then
    return {}, limitedFor
  end
  local jobs, counted, token = {}, 0, taker.tokenFrom
  local ids, groupsDue = takeIds(keys, free)
  for _, id in ipairs(ids) do
    local fields, condemned = startJob(keys, id, now, taker.tokenPrefix .. ':' .. token, taker.lock, taker.worker)
    if fields then
      jobs[#jobs + 1] = id
      jobs[#jobs + 1] = fields
      token = token + 1
      if not condemned then
        counted = counted + 1 -- a condemned job does not run, so it costs nothing of the limit
      end
    end
  end
  if limit then
    countTowardsLimit(keys, taker.window or meta.duration or 0, counted)
  end
  if #ids >= free then
    wakeWorker(keys, meta) -- more may be left: the wake-up goes on to another worker
  end
  return jobs, 0, groupsDue
end

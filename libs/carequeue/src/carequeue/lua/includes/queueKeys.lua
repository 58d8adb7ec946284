-- Every key of the queue at `base` (`prefix:queue`) that scripts touch; a job's own keys start with `base:id`.
local function queueKeys(base)
  return {
    base = base,
    wait = base .. ':wait',
    active = base .. ':active',
    prioritized = base .. ':prioritized',
    delayed = base .. ':delayed',
    completed = base .. ':completed',
    failed = base .. ':failed',
    waitingChildren = base .. ':waiting-children',
    paused = base .. ':paused',
    marker = base .. ':marker',
    stalled = base .. ':stalled',
    stalledCheck = base .. ':stalled-check',
    meta = base .. ':meta',
    events = base .. ':events',
    limiter = base .. ':limiter',
    repeats = base .. ':repeat',
    id = base .. ':id',
    pc = base .. ':pc',
  }
end

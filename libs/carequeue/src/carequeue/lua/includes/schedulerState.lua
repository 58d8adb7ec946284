--- @include "runState"

-- The same for the run that this scheduler waits for. A worker that could not make the next one noted that it started.
local function schedulerState(keys, id, due)
  local state, searched = runState(keys, 'repeat:' .. id .. ':' .. due)
  if state == 'lost' and redis.call('HGET', keys.repeats .. ':' .. id, 'started') == due then
    state = 'ended'
  end
  return state, searched
end

--[[
  Looks at a page of schedulers, those due first first, for such that wait for a run which is not there.

  KEYS[1]  base key of the queue

  ARGV[1]  only those due from this on, ms, or -inf
  ARGV[2]  and up to this, ms, or +inf
  ARGV[3]  how many of them to pass over
  ARGV[4]  how many to look at, at the most

  Output: {when the last that was looked at is due, ms, or empty; how many that were looked at are due with it;
          {id, due ms, state, hash, run, …}}
          state: ended | lost | forgotten (it has a run and no hash); a hash and a run are {field, value, …}
  Events: none
]]
--- @include "queueKeys"
--- @include "schedulerState"

-- Looking through long lists takes time: after so many places in a call the rest is left to the next one.
local MOST_PLACES = 100000

local keys = queueKeys(KEYS[1])
local ranked = redis.call('ZRANGEBYSCORE', keys.repeats, ARGV[1], ARGV[2], 'WITHSCORES', 'LIMIT', ARGV[3], ARGV[4])
local found, places, last, together = {}, 0, '', 0

local function note(id, due, state, hash, run)
  for _, value in ipairs({id, due, state, hash, run}) do
    found[#found + 1] = value
  end
end

-- Without `ic` it is no scheduler but a repeatable job of old, unless its run says otherwise.
local function examine(id, due)
  local hashKey, runKey = keys.repeats .. ':' .. id, keys.base .. ':repeat:' .. id .. ':' .. due
  local state, searched = schedulerState(keys, id, due)
  if redis.call('HEXISTS', hashKey, 'ic') == 0 then
    if redis.call('EXISTS', hashKey) == 0 and redis.call('HGET', runKey, 'rjk') == id then
      note(id, due, 'forgotten', {}, redis.call('HGETALL', runKey))
    end
  elseif state == 'ended' or state == 'lost' then
    note(id, due, state, redis.call('HGETALL', hashKey), {})
  end
  return searched
end

for at = 1, #ranked, 2 do
  local due = string.format('%.0f', tonumber(ranked[at + 1]))
  last, together = due, due == last and together + 1 or 1
  if examine(ranked[at], last) then
    places = places + redis.call('LLEN', keys.wait) + redis.call('LLEN', keys.paused) + redis.call('LLEN', keys.active)
  end
  if places > MOST_PLACES then
    break
  end
end
return {last, together, found}

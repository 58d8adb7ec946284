--- @late
--- @include "callMany"
--- @include "nextOpening"
--- @include "openGroups"
--- @include "takeFromGroup"

-- Moves up to `free` ids of groups into `active`, one of each group in turn. Answers them, and in how many ms it is worth
-- looking again if nothing else happens, or nil.
local function takeGroupedIds(keys, free)
  local turns, ids = keys.groupTurns, {}
  openGroups(keys)
  local looks = free + 100 -- a group that turns out to be blocked costs a look; after too many of them another call goes on
  local first
  repeat
    looks = looks - 1
    first = redis.call('ZRANGE', turns, 0, 0, 'WITHSCORES')
    if not first[1] or first[2] == 'inf' then
      break
    end
    ids[#ids + 1] = takeFromGroup(keys, first[1])
  until #ids == free or looks == 0
  callMany('LPUSH', keys.active, ids)
  if looks == 0 and #ids < free then
    return ids, 1
  end
  return ids, nextOpening(keys)
end

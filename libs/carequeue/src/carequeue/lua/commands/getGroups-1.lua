--[[
  Reads a page of the groups that have waiting or active jobs: first those with waiting ones, then the others.

  KEYS[1]  base key of the queue

  ARGV[1]  cursor: empty at first, then what the page before answered
  ARGV[2]  how many about

  Output: {cursor of the next page or '', {{id, waiting, active, ready | paused | maxed | limited, for how many ms it is
          limited}, …}}
  Events: none
]]
--- @include "queueKeys"
--- @include "describeGroup"

local keys = queueKeys(KEYS[1])
local count = tonumber(ARGV[2])
local kind, from = string.match(ARGV[1], '^(%a):(.*)$')
local found = {}

-- With waiting jobs: `w:` and the cursor of a scan.
if kind ~= 'a' then
  local page = redis.call('ZSCAN', keys.groupTurns, from or '0', 'COUNT', count)
  for at = 1, #page[2], 2 do
    found[#found + 1] = describeGroup(keys, page[2][at])
  end
  return {page[1] == '0' and 'a:' or 'w:' .. page[1], found}
end

-- With active jobs only: `a:` and the last group seen. They are in the order of their ids, so it is a jump to the next.
local last = from
for _ = 1, count do
  local after = last == '' and '-' or '(' .. last .. '\1'
  local place = redis.call('ZRANGEBYLEX', keys.groupsActive, after, '+', 'LIMIT', 0, 1)[1]
  if not place then
    return {'', found}
  end
  last = string.match(place, '^(.-)%z')
  if not redis.call('ZSCORE', keys.groupTurns, last) then
    found[#found + 1] = describeGroup(keys, last)
  end
end
return {'a:' .. last, found}

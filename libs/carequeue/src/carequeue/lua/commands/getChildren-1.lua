--[[
  Reads a page of the children of a job that came to the same.

  KEYS[1]  base key of the queue

  ARGV[1]  job id
  ARGV[2]  what they came to, by the name of the key that holds them: dependencies | processed | failed | unsuccessful
  ARGV[3]  cursor, 0 at first
  ARGV[4]  how many about

  Output: {cursor of the next page or 0, {key, text, key, text, …}}; the text of a processed child is its return value
          JSON, of one that failed the reason, of a pending one empty
  Events: none
]]
--- @include "splitJobKey"

local held = ARGV[2]
local scans = {dependencies = 'SSCAN', processed = 'HSCAN', failed = 'HSCAN', unsuccessful = 'ZSCAN'}
local page = redis.call(scans[held], KEYS[1] .. ':' .. ARGV[1] .. ':' .. held, ARGV[3], 'COUNT', ARGV[4])
local found = page[2]
if held == 'processed' or held == 'failed' then
  return {page[1], found}
end

local function reasonOf(key)
  local reason = redis.call('HGET', key, 'failedReason')
  return reason and reason ~= '' and reason or 'it failed without a reason'
end

-- A pending child that failed all the same is one for which nobody said what its failure means.
local function reasonOfPending(key)
  local base, id = splitJobKey(key)
  return redis.call('ZSCORE', base .. ':failed', id) and reasonOf(key) or ''
end

local children = {}
for at = 1, #found, held == 'unsuccessful' and 2 or 1 do
  children[#children + 1] = found[at]
  children[#children + 1] = held == 'unsuccessful' and reasonOf(found[at]) or reasonOfPending(found[at])
end
return {page[1], children}

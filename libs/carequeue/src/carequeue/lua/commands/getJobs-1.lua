--[[
  Reads a page of jobs over one state or several, as if they were one list.

  KEYS[1]  base key of the queue

  ARGV[1]  first place, from 0
  ARGV[2]  how many at most
  ARGV[3]  1: the oldest (or next to run) first, else the newest first
  ARGV[4]  1: the ids alone, whether there are such jobs or not
  ARGV[5…] states, each: wait | paused | active | prioritized | delayed | completed | failed | waiting-children |
           groups:waiting

  Output: {how many places there are from the first on, {id, hash, id, hash, …}}, or with ids alone {places, {id, …}}; a hash
          is {field, value, …}
  Events: none
]]
--- @include "queueKeys"
--- @include "isMarker"

local keys = queueKeys(KEYS[1])
local skip, left, ascending = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3] == '1'
local idsAlone = ARGV[4] == '1'
local lists = {wait = true, paused = true, active = true}

-- New ids enter lists on the left, so the oldest are on the right.
local function readList(key, from, count)
  if not ascending then
    return redis.call('LRANGE', key, from, from + count - 1)
  end
  local ids, turned = redis.call('LRANGE', key, -from - count, -from - 1), {}
  for place = #ids, 1, -1 do
    turned[#turned + 1] = ids[place]
  end
  return turned
end

local function readSet(key, from, count)
  return redis.call(ascending and 'ZRANGE' or 'ZREVRANGE', key, from, from + count - 1)
end

local jobs, places = {}, 0
for at = 5, #ARGV do
  local state = ARGV[at]
  local key = keys.base .. ':' .. state
  local length = redis.call(lists[state] and 'LLEN' or 'ZCARD', key)
  local from = math.min(skip, length)
  local count = math.min(length - from, left)
  skip = skip - from
  places = places + length - from
  left = left - count
  local ids = count > 0 and (lists[state] and readList or readSet)(key, from, count) or {}
  for _, id in ipairs(ids) do
    local hash = not isMarker(id) and not idsAlone and redis.call('HGETALL', keys.base .. ':' .. id) or {}
    if #hash > 0 then
      jobs[#jobs + 1] = id
      jobs[#jobs + 1] = hash
    elseif idsAlone and not isMarker(id) then
      jobs[#jobs + 1] = id
    end
  end
end
return {places, jobs}

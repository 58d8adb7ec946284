--[[
  Reads the next page of the jobs of a state, wherever other jobs went since the page before: a job that keeps its place
  all the while is on one of the pages. Lists are read from the newest to the oldest, which workers take first, sets from
  the first to the last.

  KEYS[1]  base key of the queue

  ARGV[1]  state: wait | paused | active | prioritized | delayed | completed | failed | waiting-children | groups:waiting
  ARGV[2]  how many at most
  ARGV[3…] where the page before ended, as its output said; nothing at first

  Output: {{id, hash, id, hash, …}, the place behind them or empty at the end}; a hash is {field, value, …}, a place in a
          list {how many ids are behind it, the last ids of the page, the last one first}, in a set {score, id}
  Events: none
]]
--- @include "placeInList"
--- @include "placeInSet"
--- @include "isMarker"

local key = KEYS[1] .. ':' .. ARGV[1]
local count = tonumber(ARGV[2])
local before = {}
for at = 3, #ARGV do
  before[#before + 1] = ARGV[at]
end

local function readList()
  local length = redis.call('LLEN', key)
  local first = placeInList(key, length, before)
  local ids = redis.call('LRANGE', key, first, first + count - 1)
  local behind = length - first - #ids
  if behind <= 0 then
    return ids, {}
  end
  local place = {string.format('%.0f', behind)}
  for at = #ids, math.max(1, #ids - 2), -1 do
    place[#place + 1] = ids[at]
  end
  return ids, place
end

local function readSet()
  local first = placeInSet(key, before)
  local found = redis.call('ZRANGE', key, first, first + count - 1, 'WITHSCORES')
  local ids = {}
  for at = 1, #found, 2 do
    ids[#ids + 1] = found[at]
  end
  return ids, #ids == count and {found[#found], ids[#ids]} or {}
end

local lists = {wait = true, paused = true, active = true}
local ids, place = (lists[ARGV[1]] and readList or readSet)()
local jobs = {}
for _, id in ipairs(ids) do
  local hash = isMarker(id) and {} or redis.call('HGETALL', KEYS[1] .. ':' .. id)
  if #hash > 0 then
    jobs[#jobs + 1] = id
    jobs[#jobs + 1] = hash
  end
end
return {jobs, place}

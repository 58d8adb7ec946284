--[[
  Adds jobs. All of them, or none when a parent does not fit, a group is full, or a job that is to run again is running.

  KEYS[1]  base key of the queue

  ARGV[1]  now, ms
  ARGV[2]  opts.maxLenEvents, written if the queue has none yet
  ARGV[3]  version, written if the queue has none yet
  ARGV[4…] for each job 7 arguments: id (empty: the queue counts one), name, data, opts, timestamp ms, delay ms, and
           empty or what few jobs have, as JSON: priority, lifo, parentKey, parent (JSON), de (the deduplication rule), rerun
           (a finished job with the id makes way)

  Output: the ids, in order, of a job that is kept out the id of the one that keeps it out; or
          {-5 | -7 | -12 | -14, place of the job whose parent is missing | is another living one | that a worker holds |
          whose group is full}
  Events: added, waiting, delayed, blocked, duplicated, deduplicated, removed
]]
--- @include "queueKeys"
--- @include "queueMeta"
--- @include "announceQueue"
--- @include "callMany"
--- @include "deduplicate"
--- @include "giveWay"
--- @include "trimEvents"
--- @include "wakeWorker"
--- @include "wakeWhenDue"
--- @include "storeJob"
--- @include "refusedByGroup"
--- @include "refusedByParent"
--- @include "rejoinParent"

local FIRST, WIDTH = 4, 7
local PLAIN = {}

local now = tonumber(ARGV[1])
local keys = queueKeys(KEYS[1])
local total = (#ARGV - FIRST + 1) / WIDTH

local function readMore()
  local more = {}
  for place = 1, total do
    local text = ARGV[FIRST + place * WIDTH - 1]
    more[place] = text == '' and PLAIN or cjson.decode(text)
  end
  return more
end

-- The answer to a call whose jobs cannot all have their parents, their turn, or a place in their groups.
local function refusal(more)
  local coming = {}
  for place = 1, total do
    local at, parentKey, rerun = FIRST + (place - 1) * WIDTH, more[place].parentKey, more[place].rerun
    local id = ARGV[at]
    local code = parentKey and refusedByParent(keys, id, parentKey)
      or refusedByGroup(keys, id, ARGV[at + 3], tonumber(ARGV[at + 5]), coming, rerun)
    if code then
      return {code, place}
    elseif rerun and redis.call('EXISTS', keys.base .. ':' .. id .. ':lock') == 1 then
      return {-12, place}
    end
  end
end

-- Keeps a job that exists already, with its new parent.
local function keepKnown(id, more)
  if more.parentKey then
    rejoinParent(keys, id, more.parentKey, more.parent, now)
  end
  redis.call('XADD', keys.events, '*', 'event', 'duplicated', 'jobId', id)
end

local more = readMore()
local refused = refusal(more)
if refused then
  return refused
end
local meta = queueMeta(keys)
announceQueue(keys, meta, ARGV[2], ARGV[3])
local counted = redis.call('INCRBY', keys.id, total) - total
local ids, back, front = {}, {}, {}
local available, delayed = false, false

-- Adds one job, and answers the id of the one that keeps it out, if so.
local function addJob(id, at, rest, parentKey, parent)
  local job = {
    name = ARGV[at + 1], data = ARGV[at + 2], opts = ARGV[at + 3], timestamp = ARGV[at + 4],
    delay = ARGV[at + 5], priority = rest.priority or 0, lifo = rest.lifo, parentKey = parentKey, parent = parent,
  }
  if rest.de then
    job.deid = rest.de.id
    local owner = deduplicate(keys, id, job, rest.de, now)
    if owner then
      return owner
    end
  end
  local where = storeJob(keys, id, job)
  if where == 'delayed' then
    delayed = true
  elseif where ~= 'blocked' then
    available = true
    if where == 'wait' then
      local side = rest.lifo and front or back
      side[#side + 1] = id
    end
  end
  if parentKey then
    redis.call('SADD', parentKey .. ':dependencies', keys.base .. ':' .. id)
  end
end

for place = 1, total do
  local at, rest = FIRST + (place - 1) * WIDTH, more[place]
  local id = ARGV[at]
  local known, parentKey, parent = id ~= '' and redis.call('EXISTS', keys.base .. ':' .. id) == 1, nil, nil
  if known and rest.rerun then
    local gone
    gone, parentKey, parent = giveWay(keys, id)
    known = not gone
  end
  if known then
    keepKnown(id, rest)
    ids[place] = id
  else
    if id == '' then
      id = string.format('%.0f', counted + place)
    end
    if rest.parentKey then
      parentKey, parent = rest.parentKey, rest.parent
    end
    ids[place] = addJob(id, at, rest, parentKey, parent) or id
  end
end

-- The two ends of the list do not disturb each other, so each needs one push.
callMany('LPUSH', keys.wait, back)
callMany('RPUSH', keys.wait, front)
if available then
  wakeWorker(keys, meta)
end
if delayed then
  wakeWhenDue(keys)
end
trimEvents(keys, meta)
return ids

--[[
  Adds jobs. All of them, or none when a parent does not fit, a group is full, or a job that is to run again is running.

  KEYS[1]  base key of the queue

  ARGV[1]  now, ms
  ARGV[2]  opts.maxLenEvents, written if the queue has none yet
  ARGV[3]  version, written if the queue has none yet
  ARGV[4…] for each job its id (empty: the queue counts one), its data, and empty if all else is as of the job before it, or 1 and
           five more: name, opts, timestamp ms, delay ms, and empty or what few jobs have, as JSON: priority, lifo, parentKey,
           parent (JSON), de (the deduplication rule), rerun (a finished job with the id makes way)

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
--- @include "groupOf"
--- @include "refusedByGroup"
--- @include "refusedByParent"
--- @include "rejoinParent"

local FIRST = 4
local PLAIN = {}

local now = tonumber(ARGV[1])
local keys = queueKeys(KEYS[1])

-- What jobs share: `rest` is what few have, `job` is what is written of one.
local function readShared(at)
  local opts, more = ARGV[at + 1], ARGV[at + 4]
  local rest = more == '' and PLAIN or cjson.decode(more)
  local group = groupOf(opts) or false
  return {
    rest = rest, isPlain = rest == PLAIN and not group,
    job = {
      name = ARGV[at], opts = opts, timestamp = ARGV[at + 2], delay = ARGV[at + 3], priority = rest.priority or '0',
      lifo = rest.lifo, deid = rest.de and rest.de.id, group = group,
    },
  }
end

-- The ids, the data and what is shared of all jobs, and whether nothing of it can be refused.
local function readJobs()
  local ids, data, shared, total, arePlain = {}, {}, {}, 0, true
  local at, last, same = FIRST, #ARGV, nil
  while at < last do
    total = total + 1
    ids[total], data[total] = ARGV[at], ARGV[at + 1]
    if ARGV[at + 2] == '' then
      at = at + 3
    else
      same = readShared(at + 3)
      arePlain = arePlain and same.isPlain
      at = at + 8
    end
    shared[total] = same
  end
  return ids, data, shared, total, arePlain
end

-- The answer to a call whose jobs cannot all have their parents, their turn, or a place in their groups.
local function refusal(ids, shared)
  local coming = {}
  for place, id in ipairs(ids) do
    local job, rest = shared[place].job, shared[place].rest
    local code = rest.parentKey and refusedByParent(keys, id, rest.parentKey)
      or refusedByGroup(keys, id, job.group, tonumber(job.delay), coming, rest.rerun)
    if code then
      return {code, place}
    elseif rest.rerun and redis.call('EXISTS', keys.base .. ':' .. id .. ':lock') == 1 then
      return {-12, place}
    end
  end
end

-- Keeps a job that exists already, with its new parent.
local function keepKnown(id, rest)
  if rest.parentKey then
    rejoinParent(keys, id, rest.parentKey, rest.parent, now)
  end
  redis.call('XADD', keys.events, '*', 'event', 'duplicated', 'jobId', id)
end

local ids, data, shared, total, arePlain = readJobs()
local refused = not arePlain and refusal(ids, shared)
if refused then
  return refused
end
local meta = queueMeta(keys)
announceQueue(keys, meta, ARGV[2], ARGV[3])
local counted = redis.call('INCRBY', keys.id, total) - total
local back, front = {}, {}
local available, delayed = false, false

-- Adds one job, and answers the id of the one that keeps it out, if so.
local function addJob(id, job, rule)
  if rule then
    local owner = deduplicate(keys, id, job, rule, now)
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
      local side = job.lifo and front or back
      side[#side + 1] = id
    end
  end
  if job.parentKey then
    redis.call('SADD', job.parentKey .. ':dependencies', keys.base .. ':' .. id)
  end
end

for place = 1, total do
  local id, job, rest = ids[place], shared[place].job, shared[place].rest
  local known, parentKey, parent = id ~= '' and redis.call('EXISTS', keys.base .. ':' .. id) == 1, nil, nil
  if known and rest.rerun then
    local gone
    gone, parentKey, parent = giveWay(keys, id)
    known = not gone
  end
  if known then
    keepKnown(id, rest)
  else
    if id == '' then
      id = string.format('%.0f', counted + place)
    end
    if rest.parentKey then
      parentKey, parent = rest.parentKey, rest.parent
    end
    job.data, job.parentKey, job.parent = data[place], parentKey, parent
    ids[place] = addJob(id, job, rest.de) or id
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

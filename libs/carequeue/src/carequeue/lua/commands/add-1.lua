--[[
  Adds jobs. All of them, or none when a parent does not fit.

  KEYS[1]  base key of the queue

  ARGV[1]  now, ms
  ARGV[2]  opts.maxLenEvents, written if the queue has none yet
  ARGV[3]  version, written if the queue has none yet
  ARGV[4…] for each job 11 arguments: id (empty: the queue counts one), name, data, opts, timestamp ms, delay ms,
           priority, lifo (1 or empty), parent key (or empty), parent JSON (or empty), deduplication rule JSON (or empty)

  Output: the ids, in order, of a job that is kept out the id of the one that keeps it out; or
          {-5 | -7, place of the job whose parent is missing | already another living one}
  Events: added, waiting, delayed, blocked, duplicated, deduplicated, removed
]]
--- @include "queueKeys"
--- @include "queueMeta"
--- @include "callMany"
--- @include "decodeObject"
--- @include "deduplicate"
--- @include "trimEvents"
--- @include "wakeWorker"
--- @include "wakeWhenDue"
--- @include "storeJob"
--- @include "refusedByParent"
--- @include "rejoinParent"

local FIRST, WIDTH = 4, 11

local now = tonumber(ARGV[1])
local keys = queueKeys(KEYS[1])
local total = (#ARGV - FIRST + 1) / WIDTH

for place = 1, total do
  local at = FIRST + (place - 1) * WIDTH
  local parentKey = ARGV[at + 8]
  if parentKey ~= '' then
    local refusal = refusedByParent(keys, ARGV[at], parentKey)
    if refusal then
      return {refusal, place}
    end
  end
end

redis.call('HSETNX', keys.meta, 'opts.maxLenEvents', ARGV[2])
redis.call('HSETNX', keys.meta, 'version', ARGV[3])
local meta = queueMeta(keys)
local counted = redis.call('INCRBY', keys.id, total) - total
local ids, back, front = {}, {}, {}
local available, delayed = false, false

for place = 1, total do
  local at = FIRST + (place - 1) * WIDTH
  local id = ARGV[at]
  local parentKey, parent = ARGV[at + 8], ARGV[at + 9]
  local known = id ~= '' and redis.call('EXISTS', keys.base .. ':' .. id) == 1
  if id == '' then
    id = string.format('%.0f', counted + place)
  end
  local job = {
    name = ARGV[at + 1], data = ARGV[at + 2], opts = ARGV[at + 3], timestamp = ARGV[at + 4],
    delay = ARGV[at + 5], priority = ARGV[at + 6], parentKey = parentKey, parent = parent,
  }
  local owner
  if ARGV[at + 10] ~= '' and not known then
    local rule = decodeObject(ARGV[at + 10])
    job.deid = rule.id
    owner = deduplicate(keys, id, job, rule, now)
  end
  ids[place] = owner or id
  if known then
    if parentKey ~= '' then
      rejoinParent(keys, id, parentKey, parent, now)
    end
    redis.call('XADD', keys.events, '*', 'event', 'duplicated', 'jobId', id)
  elseif not owner then
    local where = storeJob(keys, id, job)
    if where == 'delayed' then
      delayed = true
    else
      available = true
      if where == 'wait' then
        if ARGV[at + 7] == '1' then
          front[#front + 1] = id
        else
          back[#back + 1] = id
        end
      end
    end
    if parentKey ~= '' then
      redis.call('SADD', parentKey .. ':dependencies', keys.base .. ':' .. id)
    end
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

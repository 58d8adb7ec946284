--[[
  The heart of a worker: reports jobs that ended and takes the next ones, in one call.

  KEYS[1]  base key of the queue

  ARGV[1]  now, ms
  ARGV[2]  how many jobs to take at most
  ARGV[3]  token prefix: the first job taken gets the lock token `prefix:from`, the next `prefix:from+1` …
  ARGV[4]  token from
  ARGV[5]  lock duration, ms
  ARGV[6]  name of the worker, or empty
  ARGV[7]  the worker's rate limit: jobs, or empty
  ARGV[8]  the worker's rate limit: ms, or empty
  ARGV[9]  for how many minutes to count what ended, or empty
  ARGV[10] what the next attempts of ended jobs are told of these, JSON {id: text, …}, or empty
  ARGV[11…] for each ended job 9 arguments: id, token, verdict (completed | failed | expired | retry |
           delayed | wait | children), return value JSON or reason, stack trace JSON, due ms, keep rule `count/age ms/limit`, attempts
           allowed, 1 if this counts as an attempt

  Output: {a code for each ended job, {id, fields, id, fields, …}, when the next delayed job is due or 0,
          ms left of a rate limit or 0, 1 if the queue ran dry}
          codes: 0, 1 it failed and keeps its parent waiting, -1 no such job, -2 no lock, -3 not active,
          -4 pending children, -6 another's lock, -9 failed children
  Events: completed, failed, expired, retries-exhausted, delayed, waiting, waiting-children, blocked, active, drained, added
]]
--- @include "queueKeys"
--- @include "queueMeta"
--- @include "callMany"
--- @include "decodeObject"
--- @include "nextDue"
--- @include "trimEvents"
--- @include "wakeForWork"
--- @include "wakeWhenDue"
--- @include "promoteDelayed"
--- @include "keepRule"
--- @include "evictFinished"
--- @include "finishJob"
--- @include "countFinished"
--- @include "takeJobs"

local FIRST, WIDTH = 11, 9

local now = tonumber(ARGV[1])
local fetch = tonumber(ARGV[2])
local taker = {
  tokenPrefix = ARGV[3], tokenFrom = tonumber(ARGV[4]), lock = ARGV[5], worker = ARGV[6],
  limit = tonumber(ARGV[7]), window = tonumber(ARGV[8]),
}
local points = tonumber(ARGV[9])
local traces = ARGV[10] ~= '' and decodeObject(ARGV[10]) or {}
local keys = queueKeys(KEYS[1])
local meta = queueMeta(keys)

local function readEnded()
  local ended, lockKeys, childKeys, rules = {}, {}, {}, {}
  for at = FIRST, #ARGV, WIDTH do
    local jobKey, rule = keys.base .. ':' .. ARGV[at], ARGV[at + 6]
    rules[rule] = rules[rule] or keepRule(rule)
    local verdict = ARGV[at + 2]
    ended[#ended + 1] = {
      id = ARGV[at], token = ARGV[at + 1], verdict = verdict == 'expired' and 'failed' or verdict, value = ARGV[at + 3], stacktrace = ARGV[at + 4],
      due = tonumber(ARGV[at + 5]), keep = rules[rule], attempts = tonumber(ARGV[at + 7]),
      counts = ARGV[at + 8] == '1', expired = verdict == 'expired', trace = traces[ARGV[at]],
    }
    lockKeys[#lockKeys + 1] = jobKey .. ':lock'
    childKeys[#childKeys + 1] = jobKey .. ':dependencies'
    childKeys[#childKeys + 1] = jobKey .. ':unsuccessful'
  end
  return ended, lockKeys, childKeys
end

local function writeFinished(set, finished)
  callMany('ZADD', set, finished.members)
  for rule in pairs(finished.rules) do
    evictFinished(keys, set, rule, now)
  end
end

-- Answers a code for each job, how many left `active`, and how many of those for good.
local function finishAll()
  local codes = {}
  local ended, lockKeys, childKeys = readEnded()
  if #ended == 0 then
    return codes, 0, 0
  end
  local held = redis.call('MGET', unpack(lockKeys))
  local batch = {
    locks = {}, ids = {}, ended = 0, completed = {members = {}, rules = {}}, failed = {members = {}, rules = {}},
    -- one question for all: hardly any job has children
    hasChildren = redis.call('EXISTS', unpack(childKeys)) > 0,
  }
  local tally = {completed = 0, failed = 0}
  for place, job in ipairs(ended) do
    codes[place] = finishJob(keys, meta, job, held[place], batch, now)
    if codes[place] >= 0 and tally[job.verdict] then
      tally[job.verdict] = tally[job.verdict] + 1
    end
  end
  if #batch.ids > 0 then
    redis.call('DEL', unpack(batch.locks))
    redis.call('SREM', keys.stalled, unpack(batch.ids))
  end
  writeFinished(keys.completed, batch.completed)
  writeFinished(keys.failed, batch.failed)
  if batch.delayed then
    wakeWhenDue(keys)
  end
  for kind, jobs in pairs(tally) do
    if points and jobs > 0 then
      countFinished(keys, kind, jobs, points, now)
    end
  end
  return codes, #batch.ids, batch.ended
end

-- After the last job: 1 and an event if the queue ran dry. Jobs that are due later keep it from that.
local function checkDry()
  if redis.call('LLEN', keys.wait) + redis.call('ZCARD', keys.prioritized) + redis.call('LLEN', keys.active) > 0 then
    return 0
  end
  redis.call('XADD', keys.events, '*', 'event', 'drained')
  return 1
end

-- A worker that takes nothing gives the wake-ups that it may have taken, or owes for a freed place, to the others.
local function wakeOthers()
  wakeForWork(keys, meta)
  wakeWhenDue(keys)
end

if fetch > 0 then
  promoteDelayed(keys, now)
end
local codes, freed, ended = finishAll()
local jobs, limitedFor, due, drained = {}, 0, 0, 0
if fetch > 0 then
  jobs, limitedFor = takeJobs(keys, meta, now, fetch, taker)
  if #jobs < fetch * 2 then
    due = nextDue(keys) or 0
  end
end
if fetch == 0 then
  wakeOthers()
end
if ended > 0 and #jobs == 0 and due == 0 then
  drained = checkDry()
end
if freed > 0 or #jobs > 0 then
  trimEvents(keys, meta)
end
return {codes, jobs, due, limitedFor, drained}

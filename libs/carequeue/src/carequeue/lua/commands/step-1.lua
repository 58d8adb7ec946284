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
  ARGV[10…] for each ended job 6 arguments: id, token, verdict (completed | failed | expired | retry | delayed | wait |
           children), return value JSON or reason, keep rule `count/age ms/limit`, and empty or, of what did not
           complete or is traced, as JSON: stacktrace (JSON), due (ms), attempts (allowed), counts (whether this was
           an attempt), trace (what its next attempt is told of this one), letters (base key of the queue that gets one), group
           (whether its rate limit is its group's)

  Output: {a code for each ended job, {id, fields, id, fields, …}, when to look again without being woken
          or 0 (the next delayed job is due, or a group's rate limit ends), ms left of a rate limit or 0, 1 if the queue ran dry}
          codes: 0, 1 it failed and keeps its parent waiting, -1 no such job, -2 no lock, -3 not active,
          -4 pending children, -6 another's lock, -9 failed children
  Events: completed, failed, expired, retries-exhausted, delayed, waiting, waiting-children, blocked, active, drained, added, dead-lettered, duplicated
]]
--- @include "queueKeys"
--- @include "queueMeta"
--- @include "callMany"
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

local FIRST, WIDTH = 10, 6

local now = tonumber(ARGV[1])
local fetch = tonumber(ARGV[2])
local taker = {
  tokenPrefix = ARGV[3], tokenFrom = tonumber(ARGV[4]), lock = ARGV[5], worker = ARGV[6],
  limit = tonumber(ARGV[7]), window = tonumber(ARGV[8]),
}
local points = tonumber(ARGV[9])
local keys = queueKeys(KEYS[1])
local meta = queueMeta(keys)

-- What is asked once for all ended jobs: who holds their locks, and whether any has children, which is rare.
local function surroundings()
  local locks, children, n = {}, {}, 0
  for at = FIRST, #ARGV, WIDTH do
    local jobKey = keys.base .. ':' .. ARGV[at]
    n = n + 1
    locks[n] = jobKey .. ':lock'
    children[2 * n - 1] = jobKey .. ':dependencies'
    children[2 * n] = jobKey .. ':unsuccessful'
  end
  if n == 0 then
    return {}, {}, false
  end
  return locks, redis.call('MGET', unpack(locks)), redis.call('EXISTS', unpack(children)) > 0
end

local function readEnd(at, lock, held)
  local verdict, more = ARGV[at + 2], ARGV[at + 5]
  local job = {
    id = ARGV[at], token = ARGV[at + 1], verdict = verdict, value = ARGV[at + 3], keep = ARGV[at + 4],
    lock = lock, held = held,
  }
  if more ~= '' then
    more = cjson.decode(more)
    job.stacktrace, job.due, job.attempts, job.counts = more.stacktrace, more.due, more.attempts, more.counts
    job.trace, job.letters, job.limitsGroup = more.trace, more.letters, more.group
  end
  if verdict == 'expired' then
    job.verdict, job.expired = 'failed', true
  end
  return job
end

local function writeFinished(set, finished)
  callMany('ZADD', set, finished.members)
  for rule in pairs(finished.rules) do
    evictFinished(keys, set, keepRule(rule), now)
  end
end

-- Answers a code for each job, how many left `active`, and how many of those for good.
local function finishAll()
  local locks, held, hasChildren = surroundings()
  local codes = {}
  if #locks == 0 then
    return codes, 0, 0
  end
  local batch = {
    locks = {}, ids = {}, hasChildren = hasChildren,
    completed = {members = {}, rules = {}, count = 0}, failed = {members = {}, rules = {}, count = 0},
  }
  for place, lock in ipairs(locks) do
    codes[place] = finishJob(keys, meta, readEnd(FIRST + (place - 1) * WIDTH, lock, held[place]), batch, now)
  end
  if #batch.ids > 0 then
    redis.call('DEL', unpack(batch.locks))
    redis.call('SREM', keys.stalled, unpack(batch.ids))
  end
  for kind, finished in pairs({completed = batch.completed, failed = batch.failed}) do
    if finished.count > 0 then
      writeFinished(keys[kind], finished)
      if points then
        countFinished(keys, kind, finished.count, points, now)
      end
    end
  end
  if batch.delayed then
    wakeWhenDue(keys)
  end
  return codes, #batch.ids, batch.completed.count + batch.failed.count
end

-- After the last job: 1 and an event if the queue ran dry. Jobs that are due later keep it from that.
local function checkDry()
  if redis.call('LLEN', keys.active) > 0 or redis.call('EXISTS', keys.wait, keys.prioritized, keys.groupsWaiting) > 0 then
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
local jobs, limitedFor, due, drained, groupsDue = {}, 0, 0, 0, nil
if fetch > 0 then
  jobs, limitedFor, groupsDue = takeJobs(keys, meta, now, fetch, taker)
  if #jobs < fetch * 2 then
    due = nextDue(keys) or 0
    if groupsDue and (due == 0 or due > now + groupsDue) then
      due = now + groupsDue
    end
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

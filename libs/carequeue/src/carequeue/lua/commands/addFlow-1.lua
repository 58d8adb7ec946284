--[[
  Adds flows: jobs with the children that they wait for. All of them, or none when a parent does not fit or a
  group is full.

  KEYS[1]  base key of the first job's queue; in a cluster the other queues are in its slot

  ARGV[1]  now, ms
  ARGV[2]  opts.maxLenEvents, written if a queue has none yet
  ARGV[3]  version, written if a queue has none yet
  ARGV[4…] for each job 12 arguments, parents before their children: base key of its queue (empty: KEYS[1]), id, name,
           data, opts, timestamp ms, delay ms, priority, lifo (1 or empty), parent key (or empty), parent JSON (or empty),
           place (parent: it waits for children in this call; child: its parent is in this call; both; or empty)

  Output: 0; or {-5 | -7 | -14, place of the job whose parent is missing | already another living one | whose group is
          full}
  Events: added, waiting, delayed, waiting-children, duplicated, blocked
]]
--- @include "queueKeys"
--- @include "queueMeta"
--- @include "announceQueue"
--- @include "callMany"
--- @include "groupOf"
--- @include "hasOtherParent"
--- @include "linkParent"
--- @include "refusedByGroup"
--- @include "refusedByParent"
--- @include "settleFinishedChild"
--- @include "storeJob"
--- @include "storeParent"
--- @include "trimEvents"
--- @include "wakeWhenDue"
--- @include "wakeWorker"

local FIRST, WIDTH = 4, 12

local now = tonumber(ARGV[1])
local queues, known, order = {}, {}, {}

local function queueAt(base)
  if not known[base] then
    known[base] = {keys = queueKeys(base), back = {}, front = {}, coming = {}}
    queues[#queues + 1] = known[base]
  end
  return known[base]
end

local function refused(queue, job)
  local keys = queue.keys
  local refusal
  if job.hasParentHere then
    refusal = hasOtherParent(keys, job.id, job.parentKey) and -7
  elseif job.parentKey ~= '' then
    refusal = refusedByParent(keys, job.id, job.parentKey)
  end
  return refusal or not job.hasChildren and refusedByGroup(keys, job.id, groupOf(job.opts), tonumber(job.delay), queue.coming)
end

local function store(queue, job)
  local keys = queue.keys
  if job.hasChildren then
    storeParent(keys, job.id, job)
  else
    local where = storeJob(keys, job.id, job)
    queue.delayed = queue.delayed or where == 'delayed'
    queue.available = queue.available or where ~= 'delayed' and where ~= 'blocked'
    if where == 'wait' then
      local side = job.lifo and queue.front or queue.back
      side[#side + 1] = job.id
    end
  end
  if job.parentKey ~= '' then
    redis.call('SADD', job.parentKey .. ':dependencies', keys.base .. ':' .. job.id)
  end
end

for at = FIRST, #ARGV, WIDTH do
  local place = ARGV[at + 11]
  local job = {
    base = ARGV[at] ~= '' and ARGV[at] or KEYS[1], id = ARGV[at + 1], name = ARGV[at + 2], data = ARGV[at + 3], opts = ARGV[at + 4],
    timestamp = ARGV[at + 5], delay = ARGV[at + 6], priority = ARGV[at + 7], lifo = ARGV[at + 8] == '1',
    parentKey = ARGV[at + 9], parent = ARGV[at + 10],
    hasChildren = place == 'parent' or place == 'both', hasParentHere = place == 'child' or place == 'both',
  }
  order[#order + 1] = job
  local refusal = refused(queueAt(job.base), job)
  if refusal then
    return {refusal, #order}
  end
end

for _, queue in ipairs(queues) do
  queue.meta = queueMeta(queue.keys)
  announceQueue(queue.keys, queue.meta, ARGV[2], ARGV[3])
end
local rejoined = {}
for _, job in ipairs(order) do
  local queue = known[job.base]
  redis.call('INCR', queue.keys.id)
  if redis.call('EXISTS', job.base .. ':' .. job.id) == 0 then
    store(queue, job)
  else
    if job.parentKey ~= '' then
      linkParent(queue.keys, job.id, job.parentKey, job.parent)
      rejoined[#rejoined + 1] = job
    end
    redis.call('XADD', queue.keys.events, '*', 'event', 'duplicated', 'jobId', job.id)
  end
end
for _, queue in ipairs(queues) do
  callMany('LPUSH', queue.keys.wait, queue.back)
  callMany('RPUSH', queue.keys.wait, queue.front)
  if queue.available then
    wakeWorker(queue.keys, queue.meta)
  end
  if queue.delayed then
    wakeWhenDue(queue.keys)
  end
  trimEvents(queue.keys, queue.meta)
end
-- Only now: what existed before may be all that a parent waits for, and its other children had to be known first.
for _, job in ipairs(rejoined) do
  settleFinishedChild(known[job.base].keys, job.id, job.parentKey, job.parent, now)
end
return 0

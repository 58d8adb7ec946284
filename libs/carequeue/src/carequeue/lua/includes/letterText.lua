-- A letter about a job that failed for good, as a new job. The job's own JSON goes in as it is: reading it here would cost
-- numbers their digits. What is no JSON goes in as text.
local function letterText(keys, origin, job, now)
  local stored = redis.call('HMGET', job.key, 'name', 'data', 'opts', 'timestamp')
  local data, opts = stored[2] or '{}', stored[3] or '{}'
  local parts = {
    '"queue":' .. cjson.encode(origin), '"queueKey":' .. cjson.encode(keys.base), '"jobId":' .. cjson.encode(job.id),
    '"name":' .. cjson.encode(stored[1] or ''), '"reason":' .. cjson.encode(job.value),
    '"attemptsMade":' .. string.format('%.0f', job.made), '"failedAt":' .. string.format('%.0f', now),
    '"timestamp":' .. string.format('%.0f', tonumber(stored[4] or nil) or now),
    '"stacktrace":' .. (pcall(cjson.decode, job.stacktrace) and job.stacktrace or '[]'),
    '"opts":' .. (pcall(cjson.decode, opts) and opts or '{}'),
    pcall(cjson.decode, data) and '"data":' .. data or '"dataText":' .. cjson.encode(data),
  }
  return {
    name = stored[1] or '', data = '{' .. table.concat(parts, ',') .. '}',
    opts = '{"attempts":0,"letterOf":' .. cjson.encode(keys.base .. ':' .. job.id) .. '}',
    timestamp = now, delay = 0, priority = 0,
  }
end

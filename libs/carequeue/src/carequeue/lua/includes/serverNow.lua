-- The server's time, ms. The windows of rate limits are kept by the server, so what is due when they end is too.
local function serverNow()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

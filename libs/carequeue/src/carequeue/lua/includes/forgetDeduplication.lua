-- A removed job gives up the deduplication window that it still holds, with the job that was kept for after it.
local function forgetDeduplication(keys, id, deduplicationId)
  local windowKey = keys.base .. ':de:' .. deduplicationId
  if redis.call('GET', windowKey) == id then
    redis.call('DEL', windowKey, keys.base .. ':dn:' .. deduplicationId)
  end
end

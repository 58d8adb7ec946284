-- A removed job gives up the deduplication window that it still holds.
local function forgetDeduplication(keys, id, deduplicationId)
  local windowKey = keys.base .. ':de:' .. deduplicationId
  if redis.call('GET', windowKey) == id then
    redis.call('DEL', windowKey)
  end
end

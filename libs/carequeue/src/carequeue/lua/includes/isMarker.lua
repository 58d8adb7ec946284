-- Queues of BullMQ 4 kept markers among the ids; their names start with `0:`.
local function isMarker(id)
  return string.sub(id, 1, 2) == '0:'
end

--- @include "releaseParent"

-- Releases a waiting parent once no child is pending.
local function releaseWithoutPending(parentKeys, parentId, parentKey, now)
  if redis.call('SCARD', parentKey .. ':dependencies') == 0
    and redis.call('ZREM', parentKeys.waitingChildren, parentId) == 1 then
    releaseParent(parentKeys, parentId, now, false)
  end
end

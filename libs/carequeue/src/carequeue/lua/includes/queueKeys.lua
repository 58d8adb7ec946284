-- The keys of the queue at `base` (`prefix:queue`): each is put together when it is first asked for, since most scripts
-- need few of them. A job's own keys start with `base:id`.
local function queueKeys(base)
  local written = {
    waitingChildren = 'waiting-children', stalledCheck = 'stalled-check', repeats = 'repeat',
    groupTurns = 'groups:turns', groupSettings = 'groups:settings', groupsLimited = 'groups:limited',
    groupsWaiting = 'groups:waiting', groupsActive = 'groups:active', groupsChecked = 'groups:checked',
  }
  return setmetatable({base = base}, {__index = function(keys, name)
    local key = base .. ':' .. (written[name] or name)
    rawset(keys, name, key)
    return key
  end})
end

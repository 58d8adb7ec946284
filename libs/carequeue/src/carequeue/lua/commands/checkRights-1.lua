--[[
  Says which of these commands the user who asks may not run on the keys of the queue.

  KEYS[1]  base key of the queue

  ARGV[1…] for each command 1 argument: its name; what is no command is passed over

  Output: {command, …}; none if the server cannot tell, as before Redis 7
  Events: none
]]
local key = KEYS[1] .. ':meta'

-- The key twice, because some commands take more than one argument for sure; what they would do does not matter.
local function ask(command)
  if command == 'EVAL' then
    return redis.acl_check_cmd(command, '', 1, key)
  end
  return redis.acl_check_cmd(command, key, key)
end

local missing = {}
for at = 1, redis.acl_check_cmd and #ARGV or 0 do
  local isCommand, may = pcall(ask, ARGV[at])
  if isCommand and not may then
    missing[#missing + 1] = ARGV[at]
  end
end
return missing

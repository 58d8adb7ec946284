--[[
  Says which of these commands the user who asks may not run on the keys of the queue.

  KEYS[1]  base key of the queue

  ARGV[1…] for each command 1 argument: its name; what is no command is passed over

  Output: {command, …}; none if the server cannot tell, as before Redis 7
  Events: none
]]
local missing = {}
for at = 1, redis.acl_check_cmd and #ARGV or 0 do
  local isCommand, may = pcall(redis.acl_check_cmd, ARGV[at], KEYS[1] .. ':meta')
  if isCommand and not may then
    missing[#missing + 1] = ARGV[at]
  end
end
return missing

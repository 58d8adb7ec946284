-- Runs a variadic command over any number of values, in pieces that `unpack` can hold.
local function callMany(command, key, values)
  local total = #values
  for first = 1, total, 4000 do
    redis.call(command, key, unpack(values, first, math.min(first + 3999, total)))
  end
end

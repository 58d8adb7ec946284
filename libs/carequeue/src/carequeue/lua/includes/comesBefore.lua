-- Whether a sorted set holds `one` before `other` of the same score: by bytes, where Lua would go by the server's language.
local function comesBefore(one, other)
  for at = 1, math.min(#one, #other) do
    local mine, theirs = string.byte(one, at), string.byte(other, at)
    if mine ~= theirs then
      return mine < theirs
    end
  end
  return #one < #other
end

-- A list of flags, written and read by index in nested loops.
local function nsieve(m)
  local flags = {}
  for i = 1, m do flags[i] = true end
  local count = 0
  for i = 2, m do
    if flags[i] then
      for k = i + i, m, i do flags[k] = false end
      count = count + 1
    end
  end
  return count
end
for i = 1, 6 do print(nsieve(1000000)) end

-- Permutations of a short list: reads, writes, swaps.
local function fannkuch(n)
  local perm, start, count = {}, {}, {}
  local flips_max, checksum, sign = 0, 0, 1
  for i = 1, n do start[i] = i; perm[i] = i; count[i] = i end
  while true do
    local first = start[1]
    if first ~= 1 then
      for i = 2, n do perm[i] = start[i] end
      local flips = 1
      while true do
        local next = perm[first]
        if next == 1 then
          checksum = checksum + sign * flips
          if flips > flips_max then flips_max = flips end
          break
        end
        perm[first] = first
        if first >= 4 then
          local i, j = 2, first - 1
          repeat
            perm[i], perm[j] = perm[j], perm[i]
            i = i + 1
            j = j - 1
          until i >= j
        end
        first = next
        flips = flips + 1
      end
    end
    if sign == 1 then
      start[1], start[2] = start[2], start[1]
      sign = -1
    else
      start[2], start[3] = start[3], start[2]
      sign = 1
      local done = false
      for i = 3, n do
        if count[i] ~= 1 then count[i] = count[i] - 1; break end
        if i == n then done = true; break end
        count[i] = i
        local t = start[1]
        for j = 1, i do start[j] = start[j + 1] end
        start[i + 1] = t
      end
      if done then return checksum, flips_max end
    end
  end
end
for i = 1, 3 do print(fannkuch(9)) end

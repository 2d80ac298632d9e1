-- Backtracking over three lists of marks that functions share.
local function solve(n)
  local rows, up, down = {}, {}, {}
  for i = 1, n do rows[i] = false end
  for i = 1, 2 * n do up[i] = false; down[i] = false end
  local found = 0
  local function place(c)
    if c > n then found = found + 1; return end
    for r = 1, n do
      local u, d = c + r - 1, c - r + n
      if not rows[r] and not up[u] and not down[d] then
        rows[r] = true; up[u] = true; down[d] = true
        place(c + 1)
        rows[r] = false; up[u] = false; down[d] = false
      end
    end
  end
  place(1)
  return found
end
print(solve(12))

-- Closures that are made, called and share a variable.
local function counter(step)
  local n = 0
  return function () n = n + step; return n end
end
local function twice(f, x) return f(f(x)) end
local sum = 0
for i = 1, 500000 do
  local next = counter(i)
  for k = 1, 12 do next() end
  sum = sum + next() + twice(function (x) return x + i end, 1)
end
print(sum)

-- Sizes into buckets of powers of two, the power found by doubling.
local buckets = {}
local function log2(n)
  local power, bound = 0, 2
  while bound <= n do
    power = power + 1
    bound = bound + bound
  end
  return power
end
local seed = 42
for i = 1, 2500000 do
  seed = (seed * 3877 + 29573) % 139968
  local b = log2(seed)
  buckets[b] = (buckets[b] or 0) + 1
end
for i = 0, 17 do print(i, buckets[i]) end

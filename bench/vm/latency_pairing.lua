-- The start of each operation noted by its id, the difference taken at its end.
start = {}
total = 0
local function enter(id, t) start[id] = t end
local function leave(id, t)
  local begin = start[id]
  if begin == nil then return end
  total = total + (t - begin)
  start[id] = nil
end
local seed = 42
for i = 1, 4000000 do
  seed = (seed * 3877 + 29573) % 139968
  enter(seed % 400 + 5000, i)
  leave((seed + i) % 400 + 5000, i)
end
local count = 0
for _ in pairs(start) do count = count + 1 end
print(total, count)

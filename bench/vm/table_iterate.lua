-- Walks with pairs over a list, over integer keys far apart and over names.
local list, sparse, named = {}, {}, {}
for i = 1, 1000 do
  list[i] = i
  sparse[i * 1000] = i
  named["n" .. i] = i
end
local sum = 0
for round = 1, 4000 do
  for k, v in pairs(list) do sum = sum + k + v end
  for k, v in pairs(sparse) do sum = sum + k + v end
  for k, v in pairs(named) do sum = sum + v end
end
print(sum)

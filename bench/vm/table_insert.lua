-- Tables that grow: lists, integer keys far apart, names.
local names = {}
for i = 1, 1000 do names[i] = "name" .. i end
local sum = 0
for round = 1, 300 do
  local list, sparse, named = {}, {}, {}
  for i = 1, 20000 do list[i] = i end
  for i = 1, 20000 do sparse[i * 4096 + round] = i end
  for i = 1, 1000 do named[names[i]] = i end
  sum = sum + list[20000] + sparse[4096 * 7 + round] + named["name77"]
end
print(sum)

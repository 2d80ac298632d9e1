-- Reads by name, by a string in a variable, by index and by integers far apart.
local names, by_name, sparse = {}, {}, {}
for i = 1, 256 do
  names[i] = "key" .. i
  by_name["key" .. i] = i
  sparse[i * 1000003] = i
end
local point = {x = 1, y = 2, z = 3}
local sum = 0
for round = 1, 36000 do
  for i = 1, 256 do
    sum = sum + by_name[names[i]] + sparse[i * 1000003] + point.x - point.z
  end
end
print(sum)

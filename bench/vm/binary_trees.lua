-- Many small tables that die young: allocation and collection.
local function make(depth)
  if depth == 0 then return {} end
  return {make(depth - 1), make(depth - 1)}
end
local function check(node)
  if node[1] == nil then return 1 end
  return 1 + check(node[1]) + check(node[2])
end
local long_lived = make(14)
for depth = 4, 14, 5 do
  local rounds = 1
  for i = 1, 18 - depth do rounds = rounds + rounds end
  local nodes = 0
  for i = 1, rounds do nodes = nodes + check(make(depth)) end
  print(rounds, depth, nodes)
end
print(check(long_lived))

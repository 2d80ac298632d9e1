-- What most handlers do: count by a name and by a number, in global tables.
by_name = {}
by_pid = {}
local names = {}
for i = 0, 63 do names[i] = "process" .. i end
local function handler(name, pid)
  by_name[name] = (by_name[name] or 0) + 1
  by_pid[pid] = (by_pid[pid] or 0) + 1
end
local seed = 42
for i = 1, 4000000 do
  seed = (seed * 3877 + 29573) % 139968
  handler(names[seed % 64], seed % 500 + 10000)
end
print(by_name["process7"], by_pid[10100])

-- A line of a report for each event.
local format = string.format
local total = 0
for i = 1, 600000 do
  local line = format("%-16s %6d %5d.%03d %s", "process", i, i % 1000, i % 997, "read")
  total = total + #line
end
print(total)

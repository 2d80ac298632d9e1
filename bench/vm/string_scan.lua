-- A line read byte by byte: words and digits counted, then blanks found.
local line = "Nov 12 10:41:07 host kernel: [12345.678901] eth0: link up, 1000 Mbps, full duplex"
local words, digits, blanks = 0, 0, 0
for round = 1, 60000 do
  local inside = false
  for i = 1, #line do
    local c = string.byte(line, i)
    if c >= 48 and c <= 57 then digits = digits + 1 end
    if c == 32 then
      inside = false
    elseif not inside then
      inside = true
      words = words + 1
    end
  end
  local at = string.find(line, " ", 1, true)
  while at ~= nil do
    blanks = blanks + 1
    at = string.find(line, " ", at + 1, true)
  end
end
print(words, digits, blanks)

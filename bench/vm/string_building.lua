-- Short strings made with `..` from numbers and strings, and one that grows.
local total, text = 0, ""
for i = 1, 2000000 do
  local s = "cpu" .. i % 64 .. ":" .. i % 1000
  total = total + #s
  if i % 1000 == 0 then text = text .. s end
end
print(total, #text)

-- Paths cut into their parts, the parts counted.
local paths = {"/usr/lib/x86_64-linux-gnu/libc.so.6", "/etc/ld.so.cache",
               "/proc/self/maps", "/home/user/.config/app/settings.json"}
local seen = {}
for i = 1, 500000 do
  local path = paths[i % 4 + 1]
  local from = 2
  while from ~= nil do
    local at = string.find(path, "/", from, true)
    local part = ""
    if at == nil then
      part = string.sub(path, from)
      from = nil
    else
      part = string.sub(path, from, at - 1)
      from = at + 1
    end
    seen[part] = (seen[part] or 0) + 1
  end
end
local count = 0
for _ in pairs(seen) do count = count + 1 end
print(seen["usr"], seen["maps"], seen["app"], count)

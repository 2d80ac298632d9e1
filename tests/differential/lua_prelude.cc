// What a Lua program of the common subset needs before its own text: ktap's operators, functions
// and printed forms, in Lua.
#include "generator.h"

namespace ktap::differential {

const char* const kLuaPrelude = R"LUA(
local raw_tostring, raw_type = tostring, type
function cdiv(a, b)
  if b == 0 then error("division by zero", 2) end
  local q = a // b
  if q < 0 and q * b ~= a then q = q + 1 end
  return q
end
function cmod(a, b) return a - cdiv(a, b) * b end
function shl(a, n) return a << (n & 63) end
function shr(a, n)
  n = n & 63
  if a >= 0 then return a >> n end
  return ~((~a) >> n)
end
function num(v, otherwise) return math.type(v) == "integer" and v or otherwise end
function len(v)
  if raw_type(v) == "string" then return #v end
  local n = 0
  for _ in next, v do n = n + 1 end
  return n
end
function delete(t, ...)
  if select("#", ...) > 0 then t[...] = nil return end
  for k in next, t do t[k] = nil end
end
local rank = {number = 0, string = 1, boolean = 2}
local function key_less(a, b)
  local x, y = raw_type(a), raw_type(b)
  if x ~= y then return rank[x] < rank[y] end
  if x == "boolean" then return not a and b end
  return a < b
end
local function sorted(t)
  local keys = {}
  for k in next, t do keys[#keys + 1] = k end
  table.sort(keys, key_less)
  return keys
end
function sort_keys(t)
  local keys, i = sorted(t), 0
  return function()
    repeat
      i = i + 1
    until keys[i] == nil or t[keys[i]] ~= nil
    return keys[i], t[keys[i]]
  end
end
local function text(v, indent)
  if raw_type(v) ~= "table" then return raw_tostring(v) end
  local lines = {}
  for _, k in ipairs(sorted(v)) do
    local item = v[k]
    if raw_type(item) == "table" and next(item) ~= nil then
      lines[#lines + 1] = indent .. raw_tostring(k) .. ":\n" .. text(item, indent .. "  ")
    else
      lines[#lines + 1] = indent .. raw_tostring(k) .. ": " .. text(item, "")
    end
  end
  return #lines == 0 and "{}" or table.concat(lines, "\n")
end
function tostring(v) return text(v, "") end
local out
function print(...)
  local parts = table.pack(...)
  for i = 1, parts.n do parts[i] = text(parts[i], "") end
  out[#out + 1] = table.concat(parts, "\t") .. "\n"
end
function run(number, program)
  out = {}
  local f, mistake = load(program, "=p", "t", setmetatable({}, {__index = _G}))
  local ok = f ~= nil
  if ok then ok, mistake = pcall(f) end
  io.write("=== ", number, "\n", table.concat(out))
  if f == nil then io.write("--- no Lua: ", mistake, "\n") end
  io.write(ok and "--- ended\n" or "--- error\n")
end
)LUA";

}  // namespace ktap::differential

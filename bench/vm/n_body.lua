-- Floats in fields of tables; the root by Newton's method, for the language has none.
local bodies = {
  {x = 0.0, y = 0.0, z = 0.0,
   vx = 0.0, vy = 0.0, vz = 0.0,
   mass = 39.47841760435743},
  {x = 4.84143144246472090, y = -1.16032004402742839, z = -0.10362204447112311,
   vx = 0.606326392995832, vy = 2.81198684491626, vz = -0.02521836165988763,
   mass = 0.03769367487038949},
  {x = 8.34336671824457987, y = 4.12479856412430479, z = -0.40352341711432138,
   vx = -1.0107743461787924, vy = 1.8256623712304119, vz = 0.008415761376584154,
   mass = 0.011286326131968767},
  {x = 12.8943695621391310, y = -15.1111514016986312, z = -0.22330757889265573,
   vx = 1.0827910064415354, vy = 0.8687130181696082, vz = -0.010832637401363636,
   mass = 0.0017237240570597112},
  {x = 15.3796971148509165, y = -25.9193146099879641, z = 0.17925877295037118,
   vx = 0.979090732243898, vy = 0.5946989986476762, vz = -0.034755955504078104,
   mass = 0.0020336868699246304},
}
local function root(a)
  local x = a
  if x < 1.0 then x = 1.0 end
  for i = 1, 12 do x = 0.5 * (x + a / x) end
  return x
end
local function advance(dt)
  for i = 1, 5 do
    local a = bodies[i]
    local ax, ay, az, am = a.x, a.y, a.z, a.mass
    local avx, avy, avz = a.vx, a.vy, a.vz
    for j = i + 1, 5 do
      local b = bodies[j]
      local dx, dy, dz = ax - b.x, ay - b.y, az - b.z
      local d2 = dx * dx + dy * dy + dz * dz
      local mag = dt / (d2 * root(d2))
      local bm = b.mass * mag
      avx = avx - dx * bm
      avy = avy - dy * bm
      avz = avz - dz * bm
      bm = am * mag
      b.vx = b.vx + dx * bm
      b.vy = b.vy + dy * bm
      b.vz = b.vz + dz * bm
    end
    a.vx = avx
    a.vy = avy
    a.vz = avz
    a.x = ax + dt * avx
    a.y = ay + dt * avy
    a.z = az + dt * avz
  end
end
local function energy()
  local e = 0.0
  for i = 1, 5 do
    local a = bodies[i]
    e = e + 0.5 * a.mass * (a.vx * a.vx + a.vy * a.vy + a.vz * a.vz)
    for j = i + 1, 5 do
      local b = bodies[j]
      local dx, dy, dz = a.x - b.x, a.y - b.y, a.z - b.z
      e = e - a.mass * b.mass / root(dx * dx + dy * dy + dz * dz)
    end
  end
  return e
end
print(string.format("%.9f", energy()))
for i = 1, 100000 do advance(0.01) end
print(string.format("%.9f", energy()))

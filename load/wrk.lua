-- The requests of `traffic.write`, in turn, each event with an id of its own. After `--`: the file, a seed (a number).
local format, concat, sub = string.format, table.concat, string.sub
local requests, at, counter, seed = {}, 0, 0, 0
local ID, ADDRESS = string.rep("@", 16), "@ADDRESS@"

local function cut(text, mark)
  local parts, from = {}, 1
  while true do
    local first, last = string.find(text, mark, from, true)
    if not first then break end
    parts[#parts + 1] = sub(text, from, first - 1)
    from = last + 1
  end
  parts[#parts + 1] = sub(text, from)
  return parts
end

-- Both halves follow from a counter, so an id never comes twice; a multiplier spreads the lower one.
local function id()
  counter = counter + 1
  return format("%08x%08x", (seed + counter) % 4294967296, counter * 2654435 % 4294967296)
end

-- A visitor's address for each number: three of four in IPv4.
local function address()
  local n = counter + seed % 1000
  if n % 4 == 0 then return format("2a02:%x:%x::%x", 0x1800 + n % 251, math.floor(n / 251) % 65536, n % 65521) end
  return format("%d.%d.%d.%d", 77 + n % 16, math.floor(n / 16) % 256, math.floor(n / 4096) % 256, 1 + n % 254)
end

function init(args)
  local file = assert(io.open(args[1], "rb"))
  seed = tonumber(args[2])
  while true do
    local size = file:read(8)
    if not size then break end
    local parts = cut(file:read(tonumber(size)), ID)
    local head = cut(parts[1], ADDRESS)
    requests[#requests + 1] = {parts = parts, before = head[1], after = head[2]}
  end
  file:close()
end

function request()
  at = at % #requests + 1
  local one = requests[at]
  local parts, made = one.parts, {}
  made[1] = one.after and one.before .. address() .. one.after or parts[1]
  for i = 2, #parts do
    made[#made + 1] = id()
    made[#made + 1] = parts[i]
  end
  return concat(made)
end

function done(summary, latency)
  local errors = summary.errors
  io.write(format('\nRESULT {"requests": %d, "seconds": %.6f, "refused": %d, "failed": %d, "p50_ms": %.3f, "p99_ms": %.3f}\n',
    summary.requests, summary.duration / 1e6, errors.status, errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end

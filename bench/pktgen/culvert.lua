-- What the Pktgen-DPDK profiles of this folder have in common. Port 0 faces the appliance's inside, port 1 its outside.
--
-- Only functions that Pktgen's Lua library registers (app/lpktgenlib.c) are called.

local M = {}

M.inside, M.outside = "0", "1"
M.rate = tonumber(os.getenv("RATE") or "10")       -- percent of the line rate
M.seconds = tonumber(os.getenv("SECONDS") or "10")
M.size = tonumber(os.getenv("SIZE") or "64")       -- of the frame on the IPv4 side, with Ethernet's checksum
M.subscribers = tonumber(os.getenv("SUBSCRIBERS") or "1000")
M.ports = tonumber(os.getenv("PORTS") or "10")
M.inside_peer = os.getenv("INSIDE_PEER") or "02:00:00:00:00:01"  -- the appliance's MAC addresses
M.outside_peer = os.getenv("OUTSIDE_PEER") or "02:00:00:00:00:02"

-- The IPv4 address that lies `n` behind another one, given as a number.
function M.address(base, n)
  local v = base + n
  return string.format("%d.%d.%d.%d", v >> 24 & 255, v >> 16 & 255, v >> 8 & 255, v & 255)
end

-- A range of four values, as every pktgen.range function but the MACs' takes them.
function M.range(set, port, first, last, step)
  set(port, "start", first)
  set(port, "min", first)
  set(port, "max", last)
  set(port, "inc", step)
end

local function packets(port)
  -- Before and since Pktgen-DPDK 24: (port, what) and a row of counters, or (port) and rows of rows.
  local ok, all = pcall(pktgen.portStats, port, "port")
  if not ok then all = pktgen.portStats(port) end
  local row = all[tonumber(port)]
  row = row.curr or row
  return row.ipackets, row.opackets
end

-- Sends on the ports named (a list such as "0,1") for M.seconds and says what arrived on the others.
function M.measure(ports)
  pktgen.clr()
  pktgen.set(ports, "rate", M.rate)
  pktgen.set(ports, "count", 0)
  pktgen.start(ports)
  pktgen.delay(M.seconds * 1000)
  pktgen.stop(ports)
  pktgen.delay(1000)
  local inside_in, inside_out = packets(M.inside)
  local outside_in, outside_out = packets(M.outside)
  print(string.format("outbound: %d sent, %d received, %d lost", inside_out, outside_in, inside_out - outside_in))
  print(string.format("inbound:  %d sent, %d received, %d lost", outside_out, inside_in, outside_out - inside_in))
end

-- Sends what captures of `pktgen -s 0:outbound.pcap -s 1:inbound.pcap` hold, over and over.
function M.replay(ports)
  pktgen.pcap(ports, "on")
  M.measure(ports)
  pktgen.pcap(ports, "off")
end

return M

-- Pktgen-DPDK, nat44: SUBSCRIBERS × PORTS mappings by Pktgen's ranges.
--
--   pktgen -l 0-2 -a 0000:04:00.0 -a 0000:04:00.1 -- -P -m "1.0,2.1" -f bench/pktgen/nat44.lua
--
-- Settings are environment variables; culvert.lua has them. For the inbound direction replay a capture, as the other
-- profiles do: BOTH=1 pktgen ... -s 1:inbound.pcap -f bench/pktgen/nat44.lua

package.path = package.path .. ";bench/pktgen/?.lua;?.lua"
local culvert = require "culvert"

local port, first = culvert.inside, 10 << 24
local server = "8.8.8.8"

pktgen.range.dst_mac(port, "start", culvert.inside_peer)
pktgen.range.ip_proto(port, "udp")
culvert.range(pktgen.range.src_ip, port, culvert.address(first, 0), culvert.address(first, culvert.subscribers - 1), "0.0.0.1")
culvert.range(pktgen.range.dst_ip, port, server, server, "0.0.0.0")
culvert.range(pktgen.range.src_port, port, 10000, 10000 + culvert.ports - 1, 1)
culvert.range(pktgen.range.dst_port, port, 53, 53, 0)
culvert.range(pktgen.range.pkt_size, port, culvert.size, culvert.size, 0)
pktgen.set_range(port, "on")

if os.getenv("BOTH") then
  pktgen.pcap(culvert.outside, "on")
  culvert.measure(culvert.inside .. "," .. culvert.outside)
else
  culvert.measure(culvert.inside)
end

-- Pktgen-DPDK, nat64: replays captures, since
-- Pktgen's ranges step a whole IPv6 address in ways that differ between its versions.
--
--   bench/pktgen/captures outbound nat64 outbound.pcap --to MAC-OF-THE-INSIDE
--   pktgen -l 0-2 -a 0000:04:00.0 -a 0000:04:00.1 -- -P -m "1.0,2.1" -s 0:outbound.pcap -f bench/pktgen/nat64.lua
--
-- Then both directions: the appliance says where its mappings are reached, and a second capture holds the way back.
--
--   culvert mappings --json | bench/pktgen/captures inbound - inbound.pcap --to MAC-OF-THE-OUTSIDE
--   BOTH=1 pktgen ... -s 0:outbound.pcap -s 1:inbound.pcap -f bench/pktgen/nat64.lua

package.path = package.path .. ";bench/pktgen/?.lua;?.lua"
local culvert = require "culvert"

culvert.replay(os.getenv("BOTH") and culvert.inside .. "," .. culvert.outside or culvert.inside)

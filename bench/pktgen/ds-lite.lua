-- Pktgen-DPDK, ds-lite: replays captures, since
-- Pktgen's ranges know no IPv4 in IPv6.
--
--   bench/pktgen/captures outbound ds-lite outbound.pcap --to MAC-OF-THE-INSIDE
--   pktgen -l 0-2 -a 0000:04:00.0 -a 0000:04:00.1 -- -P -m "1.0,2.1" -s 0:outbound.pcap -f bench/pktgen/ds-lite.lua
--
-- Then both directions: the appliance says where its mappings are reached, and a second capture holds the way back.
--
--   culvert mappings --json | bench/pktgen/captures inbound - inbound.pcap --to MAC-OF-THE-OUTSIDE
--   BOTH=1 pktgen ... -s 0:outbound.pcap -s 1:inbound.pcap -f bench/pktgen/ds-lite.lua

package.path = package.path .. ";bench/pktgen/?.lua;?.lua"
local culvert = require "culvert"

culvert.replay(os.getenv("BOTH") and culvert.inside .. "," .. culvert.outside or culvert.inside)

// DPDK devices: what fewer queues than workers mean, and what a device that cannot be had says.
#include "dataplane/port.h"

#include <catch2/catch.hpp>

#include "dataplane/eal.h"
#include "dataplane/packet.h"

using namespace culvert::dataplane;
using Catch::Matchers::Contains;

namespace {

/// A loop of DPDK rings: what queue i sends, queue i receives.
Port::Setup loop(BufferPool& buffers, const std::string& device, unsigned workers, uint16_t queues) {
  Port::Setup setup;
  setup.device = device;
  setup.workers = workers;
  setup.queues = queues;
  setup.buffers = buffers.get();
  return setup;
}

rte_mbuf* frame(BufferPool& buffers, char mark) {
  rte_mbuf* m = rte_pktmbuf_alloc(buffers.get());
  REQUIRE(m != nullptr);
  unfence(m);
  std::memset(rte_pktmbuf_append(m, 60), mark, 60);
  return m;
}

}  // namespace

TEST_CASE("workers without a transmit queue send by the ring of one that has", "[dataplane][port]") {
  init_eal_for_replay();
  BufferPool buffers = make_buffers("ports", 1023, 1500);
  std::vector<std::string> told;
  Port::Setup setup = loop(buffers, "net_ring_queues", 3, 1);
  setup.tell = [&](const std::string& text) { told.push_back(text); };
  Port port(setup);
  port.start();
  CHECK(port.driver() == "net_ring");
  CHECK(port.rx_queues() == 1);
  CHECK(port.tx_queues() == 1);
  REQUIRE(told.size() == 1);
  CHECK_THAT(told[0], Contains("1 receive and 1 transmit queues for 3 workers as configured"));
  CHECK(port.receives(0));
  CHECK_FALSE(port.receives(1));
  CHECK(port.mac() != culvert::net::MacAddress{});  // the device has none
  CHECK_FALSE(port.mac().is_multicast());

  rte_mbuf* own[] = {frame(buffers, 'a')};
  rte_mbuf* others[] = {frame(buffers, 'b'), frame(buffers, 'c')};
  CHECK(port.send(0, own, 1) == 1);
  CHECK(port.send(1, others, 1) == 1);
  CHECK(port.send(2, others + 1, 1) == 1);
  rte_mbuf* got[8];
  REQUIRE(port.receive(0, got, 8) == 1);  // the others' wait for the owner of the queue
  CHECK(*bytes_of(got[0]) == 'a');
  rte_pktmbuf_free(got[0]);
  CHECK(port.transmits(0));
  CHECK_FALSE(port.transmits(1));
  CHECK(port.take_from_others(1, got, 8) == 0);
  REQUIRE(port.take_from_others(0, got, 8) == 2);
  CHECK(*bytes_of(got[0]) == 'b');
  CHECK(*bytes_of(got[1]) == 'c');
  for (int i = 0; i < 2; ++i) rte_pktmbuf_free(got[i]);
}

TEST_CASE("a device goes away with its Port and can be had again", "[dataplane][port]") {
  init_eal_for_replay();
  BufferPool buffers = make_buffers("ports", 1023, 1500);
  const auto before = rte_eth_dev_count_avail();
  for (int i = 0; i < 3; ++i) {
    Port port(loop(buffers, "net_null_again", 2, 0));
    port.start();
    CHECK(port.rx_queues() == 2);
    CHECK(rte_eth_dev_count_avail() == before + 1);
  }
  CHECK(rte_eth_dev_count_avail() == before);
}

TEST_CASE("a device that cannot be had is named, with a remedy", "[dataplane][port]") {
  init_eal_for_replay();
  BufferPool buffers = make_buffers("ports", 1023, 1500);
  const auto before = rte_eth_dev_count_avail();
  CHECK_THROWS_WITH(Port(loop(buffers, "net_af_packet_no,iface=nowhere0", 1, 0)),
                    Contains("net_af_packet_no,iface=nowhere0") && Contains("iface= must name"));
  CHECK_THROWS_WITH(Port(loop(buffers, "net_nonsense", 1, 0)),
                    Contains("net_nonsense") && Contains("no driver"));
  CHECK_THROWS_WITH(Port(loop(buffers, "0000:ff:1f.7", 1, 0)), Contains("vfio-pci"));
  CHECK(rte_eth_dev_count_avail() == before);
}

TEST_CASE("PCI addresses are told from virtual devices", "[dataplane][port]") {
  CHECK(is_pci("0000:81:00.0"));
  CHECK(is_pci("81:00.1,mprq_en=1"));
  CHECK_FALSE(is_pci("net_null0"));
  CHECK_FALSE(is_pci("net_af_packet0,iface=eth0:1.2"));
  CHECK_FALSE(is_pci(""));
}

TEST_CASE("a packet of the interface's MTU is one segment", "[dataplane][port]") {
  for (uint16_t mtu : {1280, 1500, 1600, 9000, 9600}) {
    CHECK(data_room(mtu) >= RTE_PKTMBUF_HEADROOM + mtu + 14 + 4);
    CHECK(data_room(mtu) >= RTE_MBUF_DEFAULT_BUF_SIZE);
  }
}

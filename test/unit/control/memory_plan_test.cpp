// What a configuration takes, against what is really taken, and against machines that have it or not.
#include "control/memory_plan.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "../logging/test_directory.h"
#include "control/engine.h"
#include "dataplane/eal.h"
#include "dataplane/huge_array.h"

using namespace culvert;
using control::memory_there;
using control::MemoryPlan;
using control::MemoryThere;
using control::plan_memory;
using control::shortage;

namespace {

constexpr uint64_t kMegabyte = uint64_t{1} << 20, kGigabyte = uint64_t{1} << 30;

config::Config sample(uint16_t workers) {
  config::Config c;
  c.workers = workers;
  c.interfaces.resize(2);
  c.interfaces[1].role = config::Role::outside;
  c.capacity = {.subscribers = 30'001, .mappings = 400'003, .sessions = 100'000, .packet_buffers = 8192};
  c.hold_down.max = 300'000;
  config::Instance i;
  i.name = "nat44";
  i.subscribers_ipv4 = {{*net::Ipv4Prefix::parse("100.64.0.0/10"), 32}};
  i.pools = {*net::Ipv4Prefix::parse("203.0.113.0/26"), *net::Ipv4Prefix::parse("198.51.100.0/30")};
  i.ports.set_size = 64;
  c.instances.push_back(i);
  i.name = "other";
  i.subscribers_ipv4 = {{*net::Ipv4Prefix::parse("10.0.0.0/8"), 32}};
  i.pools = {*net::Ipv4Prefix::parse("192.0.2.1/32")};  // fewer addresses than workers: dealt by block
  i.ports.set_size = 512;
  c.instances.push_back(i);
  return c;
}

MemoryThere machine(uint64_t ordinary) {
  return {.ordinary = ordinary,
          .limited_by = "MemAvailable",
          .machine = 2 * ordinary,
          .huge_page = 2 * kMegabyte};
}

void write(const std::filesystem::path& file, const std::string& text) {
  std::filesystem::create_directories(file.parent_path());
  std::ofstream(file) << text;
}

}  // namespace

TEST_CASE("The memory plan is what an engine takes", "[control][memory]") {
  dataplane::init_eal_for_replay(64);
  for (const uint16_t workers : {1, 2, 7}) {
    const config::Config c = sample(workers);
    const MemoryPlan plan = plan_memory(c);
    const uint64_t before = dataplane::pages_in_use();
    const auto buffers = dataplane::make_buffers("plan", c.capacity.packet_buffers, 1500);
    const uint64_t packets = dataplane::pages_in_use() - before;
    control::Engine::Options options;
    options.buffers = buffers.get();
    options.ring_files = false;
    const control::Engine engine(c, std::vector<control::InterfaceFacts>(2), options, 1);
    const uint64_t tables = dataplane::pages_in_use() - before - packets;
    INFO(workers << " workers");
    CHECK(plan.table_bytes() == tables);
    CHECK(plan.packets == Approx(packets).epsilon(0.02));
    uint64_t sum = 0;
    for (const auto& part : plan.parts) sum += part.bytes;
    CHECK(sum == plan.bytes());
  }
}

TEST_CASE("A plan that fits gives no error; one that does not names parts, what is there and a remedy",
          "[control][memory]") {
  config::Config c = sample(2);
  c.capacity.mappings = 268'435'456;
  const MemoryPlan plan = plan_memory(c);
  CHECK(shortage(plan, machine(plan.bytes())).empty());

  const std::string error = shortage(plan, machine(plan.bytes() - 4 * kGigabyte));
  INFO(error);
  for (const char* said : {"4.0 GiB more are needed", "mappings: 268435456 of 79.", "MemAvailable",
                           "lower capacity: mappings to 210000000", "packet buffers: 8192 of "})
    CHECK(error.find(said) != error.npos);

  // What it advises helps.
  c.capacity.mappings = 210'000'000;
  CHECK(shortage(plan_memory(c), machine(plan.bytes() - 4 * kGigabyte)).empty());
}

TEST_CASE("Where lowering one capacity is not enough, several are named", "[control][memory]") {
  config::Config c = sample(1);
  c.capacity.mappings = 50'000'000;
  c.capacity.sessions = 100'000'000;
  const std::string error = shortage(plan_memory(c), machine(kGigabyte));
  INFO(error);
  CHECK(error.find("lower capacity: sessions, capacity: mappings to ") != error.npos);
  CHECK(shortage(plan_memory(c), machine(1)).find("no capacity is small enough") != error.npos);
}

TEST_CASE("Free huge pages hold whole tables; the rest has to be ordinary memory", "[control][memory]") {
  const config::Config c = sample(1);
  const MemoryPlan plan = plan_memory(c);
  uint64_t small = 0, smallest = kGigabyte;  // of the tables below 2 MiB, and of the others
  for (const auto& t : plan.tables)
    if (t.bytes < 2 * kMegabyte)
      small += t.bytes;
    else
      smallest = std::min(smallest, t.bytes);
  MemoryThere there = machine(plan.other + plan.packets + small);
  CHECK_FALSE(shortage(plan, there).empty());
  there.huge = plan.table_bytes() - small;
  CHECK(shortage(plan, there).empty());
  there.huge -= 2 * kMegabyte;
  CHECK_FALSE(shortage(plan, there).empty());

  // Not enough for any table as a whole is of no use.
  there.huge = smallest - 2 * kMegabyte;
  CHECK(shortage(plan, there).find("of which 0.0 MiB can be used") != std::string::npos);

  // Packets lie in them when there is room for all.
  there.huge = there.huge_of_all = plan.table_bytes() - small + plan.packets_reserved;
  there.ordinary = plan.other + small;
  CHECK(shortage(plan, there).empty());
  there.huge_of_all = plan.packets_reserved - 1;
  CHECK_FALSE(shortage(plan, there).empty());
}

TEST_CASE("This machine's memory is read", "[control][memory]") {
  const MemoryThere there = memory_there();
  CHECK(there.machine > 100 * kMegabyte);
  CHECK(there.ordinary > 0);
  CHECK(there.ordinary < there.machine);
}

TEST_CASE("The tightest control group limits what can be had, its page cache counts as free",
          "[control][memory]") {
  const test::TestDirectory directory;
  const std::filesystem::path root(directory.path(""));
  write(root / "proc/meminfo",
        "MemTotal:       8388608 kB\nMemFree: 1 kB\nMemAvailable:   4194304 kB\nHugePages_Total:      20\n"
        "HugePages_Free:       10\nHugePages_Rsvd:        3\nHugepagesize:       2048 kB\n");
  write(root / "sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "10\n");
  write(root / "sys/kernel/mm/hugepages/hugepages-1048576kB/free_hugepages", "1\n");
  const auto there = [&] { return memory_there(root.string()); };
  CHECK(there().machine == 8 * kGigabyte);
  CHECK(there().ordinary == 4 * kGigabyte);
  CHECK(there().huge == 14 * kMegabyte);
  CHECK(there().huge_of_all == kGigabyte + 20 * kMegabyte);

  SECTION("version 2") {
    write(root / "proc/self/cgroup", "0::/system.slice/culvertd.service\n");
    const auto slice = root / "sys/fs/cgroup/system.slice", service = slice / "culvertd.service";
    write(service / "memory.max", "max\n");
    write(service / "memory.current", "1048576\n");
    CHECK(there().ordinary == 4 * kGigabyte);
    write(slice / "memory.max", "1073741824\n");
    write(slice / "memory.current", "104857600\n");
    write(slice / "memory.stat", "anon 5\ninactive_file 41943040\nactive_file 10485760\n");
    CHECK(there().ordinary == kGigabyte - 50 * kMegabyte);
    CHECK(there().limited_by == (slice / "memory.max").string());
    write(service / "memory.max", "2097152\n");
    CHECK(there().ordinary == kMegabyte);
  }
  SECTION("version 1, in a container that does not see the path") {
    write(root / "proc/self/cgroup", "5:devices:/\n4:cpu,memory:/docker/0123\n0::/\n");
    const auto top = root / "sys/fs/cgroup/memory";
    write(top / "memory.limit_in_bytes", "536870912\n");
    write(top / "memory.usage_in_bytes", "1048576\n");
    CHECK(there().ordinary == 511 * kMegabyte);
    CHECK(there().limited_by == (top / "memory.limit_in_bytes").string());
  }
}

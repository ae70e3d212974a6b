#include "dataplane/eal.h"

#include <fmt/format.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ether.h>
#include <rte_log.h>
#include <rte_mbuf.h>
#include <rte_mbuf_pool_ops.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <optional>
#include <set>
#include <stdexcept>

#include "dataplane/huge_array.h"
#include "net/headers.h"

namespace culvert::dataplane {
namespace {

constexpr size_t kMegabyte = size_t{1} << 20;

/// DPDK makes a runtime directory even when it keeps nothing there, and leaves it behind. While this lives it
/// finds none that it could make, which without shared configuration is as good, and what it says about that
/// is not heard.
class NoRuntimeDirectory {
 public:
  NoRuntimeDirectory() {
    if (const char* before = getenv(kVariable)) before_ = before;
    setenv(kVariable, "/dev/null", 1);
    said_to_ = rte_log_get_stream();
    cookie_io_functions_t functions{};
    functions.write = pass_on;
    filter_ = fopencookie(this, "w", functions);
    if (filter_ != nullptr) rte_openlog_stream(filter_);
  }
  ~NoRuntimeDirectory() {
    rte_openlog_stream(said_to_ == stderr ? nullptr : said_to_);  // null: DPDK's own choice
    if (filter_ != nullptr) fclose(filter_);
    if (before_) {
      setenv(kVariable, before_->c_str(), 1);
    } else {
      unsetenv(kVariable);
    }
  }
  NoRuntimeDirectory(const NoRuntimeDirectory&) = delete;
  NoRuntimeDirectory& operator=(const NoRuntimeDirectory&) = delete;

 private:
  static constexpr const char* kVariable = "RUNTIME_DIRECTORY";

  static ssize_t pass_on(void* cookie, const char* data, size_t size) {
    const std::string_view text(data, size);
    if (text.find("/dev/null/dpdk") == text.npos && text.find("runtime directory") == text.npos) {
      FILE* to = static_cast<NoRuntimeDirectory*>(cookie)->said_to_;
      fwrite(data, 1, size, to);
      fflush(to);
    }
    return static_cast<ssize_t>(size);
  }

  std::optional<std::string> before_;
  FILE* said_to_ = nullptr;
  FILE* filter_ = nullptr;
};

bool started = false;

/// rte_eal_init() with the words of `arguments`. Returns its result.
int start(const std::vector<std::string>& arguments) {
  NoRuntimeDirectory none;
  std::vector<std::string> words{"culvertd"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (auto& w : words) argv.push_back(w.data());
  const int result = rte_eal_init(static_cast<int>(argv.size()), argv.data());
  if (result >= 0) started = true;
  return result;
}

/// CPUs this process may run on.
std::vector<int> allowed_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cpus;
  if (sched_getaffinity(0, sizeof set, &set) == 0) {
    for (int i = 0; i < CPU_SETSIZE; ++i) {
      if (CPU_ISSET(i, &set)) cpus.push_back(i);
    }
  }
  if (cpus.empty()) cpus.push_back(0);
  return cpus;
}

/// One CPU for the control core and one for each worker: as configured, otherwise round the allowed ones.
std::vector<int> choose_cpus(const config::Config& config) {
  const auto allowed = allowed_cpus();
  if (config.lcores.empty()) {
    std::vector<int> cpus;
    for (size_t i = 0; i < config.workers + 1u; ++i) cpus.push_back(allowed[i % allowed.size()]);
    return cpus;
  }
  for (uint16_t cpu : config.lcores) {
    if (std::ranges::find(allowed, int{cpu}) == allowed.end()) {
      throw std::runtime_error(
          fmt::format("lcores: CPU {} is not one of those this process may use ({} of them, the "
                      "first is {}, the last {}); name others or widen the process's CPU set",
                      cpu, allowed.size(), allowed.front(), allowed.back()));
    }
  }
  if (config.lcores.size() != config.workers + 1u) {
    throw std::runtime_error(fmt::format("lcores: {} CPUs for one control core and {} workers",
                                         config.lcores.size(), config.workers));
  }
  return {config.lcores.begin(), config.lcores.end()};
}

/// Huge pages of the kernel's default pools that nobody uses yet.
struct HugePages {
  size_t free_bytes = 0;
  size_t page_bytes = 0;  ///< of the size that has most
};

HugePages free_huge_pages() {
  HugePages result;
  std::error_code ignored;
  size_t most = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/sys/kernel/mm/hugepages", ignored)) {
    const std::string name = entry.path().filename();  // hugepages-2048kB
    const size_t kilobytes = std::strtoull(name.c_str() + std::min<size_t>(name.size(), 10), nullptr, 10);
    size_t pages = 0;
    std::ifstream(entry.path() / "free_hugepages") >> pages;
    const size_t bytes = pages * kilobytes * 1024;
    result.free_bytes += bytes;
    if (bytes > most) {
      most = bytes;
      result.page_bytes = kilobytes * 1024;
    }
  }
  return result;
}

std::string size_text(size_t bytes) {
  if (bytes >= size_t{1} << 30) return fmt::format("{} GiB", bytes >> 30);
  if (bytes >= kMegabyte) return fmt::format("{} MiB", bytes >> 20);
  return fmt::format("{} KiB", bytes >> 10);
}

}  // namespace

bool is_pci(std::string_view device) {
  const std::string_view address = device.substr(0, device.find(','));
  // [domain:]bus:device.function, of hexadecimal digits
  return address.find(':') != std::string_view::npos && address.find('.') != std::string_view::npos &&
         std::ranges::all_of(address,
                             [](unsigned char c) { return std::isxdigit(c) || c == ':' || c == '.'; });
}

Eal init_eal(const config::Config& config, bool debug) {
  if (started) throw std::logic_error("the EAL runs already");
  Eal eal;
  eal.cpus = choose_cpus(config);
  eal.shared_cpus = std::set<int>(eal.cpus.begin(), eal.cpus.end()).size() < eal.cpus.size();

  std::vector<std::string> arguments{"--no-telemetry"};
  std::string lcores;
  for (size_t i = 0; i < eal.cpus.size(); ++i)
    lcores += fmt::format("{}{}@{}", i == 0 ? "" : ",", i, eal.cpus[i]);
  arguments.insert(arguments.end(), {"--lcores", lcores, "--main-lcore", "0"});
  arguments.push_back(debug ? "--log-level=*:debug" : "--log-level=*:warning");
  // What is said on every start and nobody has to do anything about: huge pages of other sizes that are not
  // reserved, no traffic classes for flow rules, no secondary processes.
  if (!debug) {
    arguments.insert(arguments.end(), {"--log-level=lib.eal:error", "--log-level=pmd.net.tap:critical",
                                       "--log-level=pmd.net.memif:error"});
  }
  // Without an allow list DPDK would take every device that is bound to its drivers.
  bool pci = false;
  for (const auto& i : config.interfaces) {
    if (!is_pci(i.device)) continue;
    pci = true;
    arguments.insert(arguments.end(), {"-a", i.device});
  }
  if (!pci) arguments.push_back("--no-pci");

  const size_t need = packet_memory(config.capacity.packet_buffers, largest_mtu(config));
  const HugePages huge = free_huge_pages();
  eal.huge = huge.free_bytes >= need;
  if (eal.huge) {
    // Anonymous huge pages: no hugetlbfs mount, and nothing to clean up after a crash.
    arguments.push_back("--in-memory");
    eal.pages = fmt::format("{} huge pages", size_text(huge.page_bytes));
  } else {
    arguments.insert(arguments.end(), {"--no-huge", "--no-shconf", "-m", std::to_string(need / kMegabyte)});
    eal.pages = fmt::format("{} pages", size_text(static_cast<size_t>(sysconf(_SC_PAGESIZE))));
  }
  if (start(arguments) < 0) {
    throw std::runtime_error(
        fmt::format("DPDK does not start on {}: {}; --log-level debug shows its own messages", eal.pages,
                    rte_strerror(rte_errno)));
  }
  return eal;
}

void init_eal_for_replay(unsigned megabytes) {
  static std::mutex mutex;
  std::lock_guard lock(mutex);
  if (started) return;
  const int cpu = sched_getcpu();
  cpu_set_t before;
  sched_getaffinity(0, sizeof before, &before);
  const int result = start({"--no-huge", "--no-shconf", "--no-telemetry", "--no-pci", "--iova-mode=va", "-m",
                            std::to_string(megabytes), "--lcores", fmt::format("0@{}", cpu < 0 ? 0 : cpu),
                            "--log-level=*:error"});
  if (result < 0) {
    throw std::runtime_error(fmt::format("DPDK does not start with {} MiB of ordinary memory: {}", megabytes,
                                         rte_strerror(rte_errno)));
  }
  sched_setaffinity(0, sizeof before, &before);  // one thread among others: the kernel may move it
}

uint16_t data_room(uint16_t mtu) {
  // A packet may grow by an IPv6 header and shrink by one; headroom is for growing in front, the rest is the
  // frame.
  const unsigned frame = mtu + RTE_ETHER_HDR_LEN + 2u * RTE_VLAN_HLEN + RTE_ETHER_CRC_LEN;
  const unsigned room = std::max<unsigned>(RTE_PKTMBUF_HEADROOM + frame, RTE_MBUF_DEFAULT_BUF_SIZE);
  return static_cast<uint16_t>((room + RTE_CACHE_LINE_SIZE - 1) / RTE_CACHE_LINE_SIZE * RTE_CACHE_LINE_SIZE);
}

size_t packet_memory(uint32_t buffers, uint16_t mtu) {
  constexpr size_t kPerObject = sizeof(rte_mbuf) + 128;  // header, trailer, alignment
  // With room for the rings of the ports and for what the allocator cannot use; untouched memory costs
  // nothing.
  const size_t bytes = size_t{buffers} * (data_room(mtu) + kPerObject) * 5 / 4 + 64 * kMegabyte;
  return (bytes + kMegabyte - 1) / kMegabyte * kMegabyte;
}

uint16_t largest_mtu(const config::Config& config) {
  uint16_t mtu = 1500;
  for (const auto& i : config.interfaces) mtu = std::max(mtu, i.mtu);
  return mtu;
}

namespace {

/// Memory for a pool, to be given back with it.
struct Pages {
  explicit Pages(size_t size) : bytes(size), at(take_pages(size)) {}
  ~Pages() { give_pages(at, bytes); }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;

  size_t bytes;
  void* at;
};

/// A pool on pages of our own, transparent huge ones where the kernel has them: on DPDK's 4 KiB pages every
/// packet would cost a miss of the TLB. For virtual devices, which need no physical addresses. Null with
/// rte_errno set.
rte_mempool* make_pool_on_own_pages(const std::string& name, uint32_t count, unsigned cache, uint32_t room) {
  rte_mempool* pool =
      rte_mempool_create_empty(name.c_str(), count, sizeof(rte_mbuf) + room, cache,
                               sizeof(rte_pktmbuf_pool_private), SOCKET_ID_ANY, RTE_MEMPOOL_F_NO_IOVA_CONTIG);
  if (pool == nullptr) return nullptr;
  rte_mempool_set_ops_byname(pool, rte_mbuf_best_mempool_ops(), nullptr);
  rte_pktmbuf_pool_private facts{};
  facts.mbuf_data_room_size = static_cast<uint16_t>(std::min<uint32_t>(room, UINT16_MAX));
  rte_pktmbuf_pool_init(pool, &facts);
  size_t chunk = 0, align = 0;
  const ssize_t bytes = rte_mempool_op_calc_mem_size_default(pool, count, 0, &chunk, &align);
  try {
    if (bytes <= 0) throw std::bad_alloc();
    auto pages = std::make_unique<Pages>(static_cast<size_t>(bytes) + align);
    const auto give_back = [](rte_mempool_memhdr*, void* p) { delete static_cast<Pages*>(p); };
    const int got = rte_mempool_populate_iova(pool, static_cast<char*>(pages->at),
                                              reinterpret_cast<rte_iova_t>(pages->at), pages->bytes,
                                              give_back, pages.get());
    if (got > 0) pages.release();
    if (got != static_cast<int>(count)) throw std::bad_alloc();
  } catch (const std::bad_alloc&) {
    rte_mempool_free(pool);
    rte_errno = ENOMEM;
    return nullptr;
  }
  rte_mempool_obj_iter(pool, rte_pktmbuf_init, nullptr);
  return pool;
}

/// Bytes of a datagram's buffer: more than an mbuf can say, whose buf_len has 16 bits. The pipeline knows its
/// packets' borders by itself.
constexpr unsigned kDatagramRoom = 66 * 1024;
static_assert(kDatagramRoom > RTE_PKTMBUF_HEADROOM + sizeof(net::Ipv6Header) + 65'535);

}  // namespace

size_t datagram_memory(uint32_t count) {
  const size_t each = rte_mempool_calc_obj_size(static_cast<uint32_t>(sizeof(rte_mbuf)) + kDatagramRoom,
                                                RTE_MEMPOOL_F_NO_IOVA_CONTIG, nullptr);
  return count * each + RTE_MEMPOOL_ALIGN;
}

BufferPool make_datagram_buffers(uint32_t count) {
  static std::atomic<unsigned> number{0};
  BufferPool pool(make_pool_on_own_pages(fmt::format("datagrams{}", number++), count, 0, kDatagramRoom));
  if (pool == nullptr)
    throw std::runtime_error(fmt::format("{} buffers for datagrams ({}) cannot be had: {}", count,
                                         size_text(datagram_memory(count)), rte_strerror(rte_errno)));
  return pool;
}

BufferPool make_buffers(const std::string& name, uint32_t count, uint16_t mtu) {
  const unsigned cache = count >= 1024 ? 256 : 0;
  BufferPool pool(rte_eal_has_hugepages() != 0
                      ? rte_pktmbuf_pool_create(name.c_str(), count, cache, 0, data_room(mtu), SOCKET_ID_ANY)
                      : make_pool_on_own_pages(name, count, cache, data_room(mtu)));
  if (pool == nullptr) {
    throw std::runtime_error(
        fmt::format("{} packet buffers of {} bytes ({}) cannot be had: {}; lower capacity: "
                    "packet-buffers or reserve more huge pages",
                    count, data_room(mtu), size_text(packet_memory(count, mtu)), rte_strerror(rte_errno)));
  }
  return pool;
}

}  // namespace culvert::dataplane

#include "logging/event_ring.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <utility>

namespace culvert::logging {
namespace {

constexpr char kMagic[8] = {'c', 'u', 'l', 'v', 'r', 'i', 'n', 'g'};
constexpr uint32_t kVersion = 2;
constexpr size_t kHeaderBytes = 4096;
constexpr const char* kMoveAway = "move the file away to start without its records";

/// Tells a crash of the process from one of the machine.
std::array<char, 40> boot_id() {
  std::array<char, 40> id{};
  const int fd = ::open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
  if (fd >= 0) {
    if (read(fd, id.data(), id.size() - 1) < 0) id = {};
    close(fd);
  }
  return id;
}

/// Whether an event can be what was pushed as number `sequence`.
bool whole(const Event& e, uint64_t sequence) {
  return e.sequence == sequence && e.kind >= EventKind::block_allocated && e.kind <= kLastEventKind &&
         e.first_port <= e.last_port && e.subscriber_length <= 128;
}

}  // namespace

struct EventRing::Header {
  char magic[8];
  uint32_t version;
  uint32_t event_size;
  uint32_t capacity;
  uint32_t spare;
  uint64_t epoch;
  std::array<char, 40> boot;
  alignas(64) std::atomic<uint64_t> head;  ///< producer's
  alignas(64) std::atomic<uint64_t> tail;  ///< consumer's
};

size_t EventRing::bytes_for(uint32_t capacity) { return kHeaderBytes + size_t{capacity} * sizeof(Event); }

EventRing::EventRing(uint32_t capacity) {
  if (capacity == 0 || capacity > kMaxCapacity)
    throw std::invalid_argument(fmt::format("event ring of {} events", capacity));
  map(capacity);
}

EventRing::EventRing(const std::string& path, uint32_t capacity, uint64_t epoch) : path_(path) {
  static_assert(sizeof(Header) <= kHeaderBytes && std::atomic<uint64_t>::is_always_lock_free);
  try {
    if (capacity == 0 || capacity > kMaxCapacity)
      fail(fmt::format("capacity {}", capacity), fmt::format("1 to {} events are possible", kMaxCapacity));
    std::error_code ignored;  // open() tells
    std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
    open(O_CREAT);
    if (find_left_behind() && waiting() != 0)
      fail(fmt::format("{} events in it are not on record", waiting()), kMoveAway);
    unmap();
    damaged_ = 0;
    make(capacity, epoch);
  } catch (...) {
    unmap();
    if (fd_ >= 0) close(fd_);
    throw;
  }
}

EventRing::EventRing(const std::string& path) : path_(path) {
  try {
    open(0);
    if (find_left_behind()) return;
    unmap();
    make(1, 0);
  } catch (...) {
    unmap();
    if (fd_ >= 0) close(fd_);
    throw;
  }
}

EventRing::~EventRing() {
  unmap();
  if (fd_ >= 0) close(fd_);
}

void EventRing::fail(const std::string& what, const std::string& fix) const {
  throw std::runtime_error(fmt::format("event ring {}: {}; {}", path_, what, fix));
}

/// Opens the file and locks it. `mode`: O_CREAT or 0.
void EventRing::open(uint32_t mode) {
  fd_ = ::open(path_.c_str(), static_cast<int>(mode) | O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
  if (fd_ < 0) {
    fail(fmt::format("cannot be opened: {}", std::strerror(errno)),
         "name a directory that culvertd may write to as logging: ring-directory");
  }
  if (flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) {
      fail("another process uses it",
           "is another culvertd running? Each needs its own logging: ring-directory");
    }
    fail(fmt::format("cannot be locked: {}", std::strerror(errno)), "use a local file system");
  }
  struct stat st{};
  if (fstat(fd_, &st) != 0 || !S_ISREG(st.st_mode)) fail("is not a regular file", "move it away");
}

/// Maps what an ended process left. False: it left nothing, or a ring that it had not made to the end.
bool EventRing::find_left_behind() {
  struct stat st{};
  fstat(fd_, &st);
  const auto size = static_cast<uint64_t>(st.st_size);
  if (size == 0) return false;
  if (size < kHeaderBytes + sizeof(Event) || size > bytes_for(kMaxCapacity))
    fail(fmt::format("{} bytes cannot be a ring of this version", size), kMoveAway);
  map(static_cast<uint32_t>((size - kHeaderBytes) / sizeof(Event)));
  constexpr char kUnfinished[sizeof kMagic] = {};
  if (std::memcmp(header_->magic, kUnfinished, sizeof kUnfinished) == 0) return false;
  check_header(size);
  salvage();
  return true;
}

void EventRing::make(uint32_t capacity, uint64_t epoch) {
  const size_t bytes = bytes_for(capacity);
  if (ftruncate(fd_, 0) != 0) fail(std::strerror(errno), "check its file system");
  // posix_fallocate, so that the file has all its disk blocks now: writing to a mapping on a full disk is
  // SIGBUS.
  if (const int e = posix_fallocate(fd_, 0, static_cast<off_t>(bytes)); e != 0) {
    if (ftruncate(fd_, 0) != 0) errno = e;
    fail(fmt::format("{} bytes are not to be had: {}", bytes, std::strerror(e)),
         "make room on its file system");
  }
  map(capacity);
  header_->version = kVersion;
  header_->event_size = sizeof(Event);
  header_->capacity = capacity;
  header_->epoch = epoch;
  header_->boot = boot_id();
  std::atomic_thread_fence(std::memory_order_release);
  std::memcpy(header_->magic, kMagic, sizeof kMagic);
}

void EventRing::map(uint32_t capacity) {
  bytes_ = bytes_for(capacity);
  capacity_ = capacity;
  // Populated, so that no page is missing when a packet waits for its event.
  const int flags = fd_ >= 0 ? MAP_SHARED | MAP_POPULATE : MAP_PRIVATE | MAP_ANONYMOUS;
  void* p = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, flags, fd_, 0);
  if (p == MAP_FAILED) fail(fmt::format("cannot be mapped: {}", std::strerror(errno)), "make memory free");
  header_ = static_cast<Header*>(p);
  events_ = reinterpret_cast<Event*>(static_cast<uint8_t*>(p) + kHeaderBytes);
}

void EventRing::unmap() {
  if (header_ != nullptr) munmap(std::exchange(header_, nullptr), bytes_);
}

void EventRing::check_header(uint64_t file_size) const {
  if (std::memcmp(header_->magic, kMagic, sizeof kMagic) != 0) fail("is not an event ring", kMoveAway);
  if (header_->version != kVersion || header_->event_size != sizeof(Event)) {
    fail(fmt::format("is a ring of version {} with events of {} bytes; this program knows version {} with {}",
                     header_->version, header_->event_size, kVersion, sizeof(Event)),
         "let the culvertd that wrote it finish it, or move the file away");
  }
  if (header_->capacity == 0 || header_->capacity > kMaxCapacity ||
      bytes_for(header_->capacity) != file_size) {
    fail(fmt::format("says it holds {} events, but is {} bytes long", header_->capacity, file_size),
         kMoveAway);
  }
  const uint64_t head = header_->head, tail = header_->tail;
  if (tail > head || head - tail > header_->capacity) {
    fail(fmt::format("says that {} events were pushed and {} consumed, of a capacity of {}", head, tail,
                     header_->capacity),
         kMoveAway);
  }
}

/// Looks at what was left behind: keeps whole events, and marks as lost those that the machine's crash tore.
void EventRing::salvage() {
  const uint64_t head = header_->head, tail = header_->tail;
  Event lost;
  lost.kind = EventKind::record_lost;
  std::vector<uint64_t> torn;
  for (uint64_t i = tail; i != head; ++i) {
    const Event& e = slot(i);
    if (whole(e, i + 1))
      lost.time = e.time;  // the nearest thing known
    else
      torn.push_back(i);
  }
  damaged_ = static_cast<uint32_t>(torn.size());
  if (damaged_ != 0 && header_->boot == boot_id())
    fail(fmt::format("{} of {} waiting events are corrupt", damaged_, head - tail), kMoveAway);
  for (const uint64_t i : torn) {
    lost.sequence = i + 1;
    slot(i) = lost;
  }
}

bool EventRing::push(const Event& event) {
  const uint64_t head = header_->head.load(std::memory_order_relaxed);
  if (head - header_->tail.load(std::memory_order_acquire) >= capacity_) return false;
  Event& e = slot(head);
  e = event;
  e.sequence = head + 1;
  header_->head.store(head + 1, std::memory_order_release);
  return true;
}

const Event* EventRing::peek(uint32_t ahead) const {
  const uint64_t at = header_->tail.load(std::memory_order_relaxed) + ahead;
  if (at >= header_->head.load(std::memory_order_acquire)) return nullptr;
  return &slot(at);
}

void EventRing::release(uint32_t n) {
  header_->tail.store(header_->tail.load(std::memory_order_relaxed) + n, std::memory_order_release);
}

uint32_t EventRing::waiting() const {
  const uint64_t tail = header_->tail.load(std::memory_order_acquire);
  return static_cast<uint32_t>(header_->head.load(std::memory_order_acquire) - tail);
}

uint64_t EventRing::pushed() const { return header_->head.load(std::memory_order_acquire); }
uint64_t EventRing::released() const { return header_->tail.load(std::memory_order_acquire); }

uint64_t EventRing::epoch() const { return header_->epoch; }

std::string ring_path(const std::string& directory, unsigned worker) {
  return fmt::format("{}/events.{}.ring", directory, worker);
}

std::vector<std::pair<std::string, unsigned>> ring_files(const std::string& directory) {
  std::vector<std::pair<std::string, unsigned>> found;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(directory, ignored)) {
    const std::string name = entry.path().filename().string();
    unsigned worker = 0;
    constexpr std::string_view kBefore = "events.";
    if (!name.starts_with(kBefore)) continue;
    const char* end = name.data() + name.size();
    auto [rest, error] = std::from_chars(name.data() + kBefore.size(), end, worker);
    if (error == std::errc{} && std::string_view(rest, end) == ".ring") {
      found.emplace_back(entry.path().string(), worker);
    }
  }
  std::ranges::sort(found);
  return found;
}

}  // namespace culvert::logging

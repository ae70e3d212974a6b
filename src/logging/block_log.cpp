#include "logging/block_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <stdexcept>
#include <utility>

namespace culvert::logging {
namespace {

constexpr size_t kBatch = 64 * 1024;  ///< bytes a write(2)

/// 2026-11-21T01:12:07.123Z
void format_time(std::string& out, uint64_t millis) {
  using namespace std::chrono;
  constexpr uint64_t kYear9999 = 253'402'300'799'999;  // later is no time but a broken event
  const sys_time<milliseconds> t{milliseconds{std::min(millis, kYear9999)}};
  const auto day = floor<days>(t);
  const year_month_day date{day};
  const hh_mm_ss clock{t - day};
  fmt::format_to(std::back_inserter(out), "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", int{date.year()},
                 unsigned{date.month()}, unsigned{date.day()}, clock.hours().count(), clock.minutes().count(),
                 clock.seconds().count(), clock.subseconds().count());
}

void format_subscriber(std::string& out, const Event& e) {
  static constexpr std::array<uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (std::equal(kMapped.begin(), kMapped.end(), e.subscriber.bytes.begin())) {
    net::Ipv4Address a;
    std::memcpy(&a, e.subscriber.bytes.data() + 12, 4);
    out += a.text();
    if (e.subscriber_length >= 96 && e.subscriber_length < 128)
      out += fmt::format("/{}", e.subscriber_length - 96);
  } else {
    out += e.subscriber.text();
    if (e.subscriber_length < 128) out += fmt::format("/{}", e.subscriber_length);
  }
}

void append_line(std::string& out, const Event& e) {
  format_time(out, e.time);
  fmt::format_to(std::back_inserter(out), " {}", name_of(e.kind));
  if (e.kind == EventKind::started || e.kind == EventKind::stopped) {
    fmt::format_to(std::back_inserter(out), " worker={} sequence={}", e.worker, e.sequence);
    return;
  }
  out += " subscriber=";
  format_subscriber(out, e);
  fmt::format_to(std::back_inserter(out), " external={} ports={}-{} instance=", e.external.text(),
                 e.first_port, e.last_port);
  for (size_t i = 0; i < sizeof e.instance && e.instance[i] != 0; ++i) {
    out += e.instance[i] > ' ' && e.instance[i] < 0x7f ? e.instance[i] : '?';
  }
  fmt::format_to(std::back_inserter(out), " reason={} worker={} sequence={}", name_of(e.reason), e.worker,
                 e.sequence);
  if (e.kind == EventKind::block_released)
    fmt::format_to(std::back_inserter(out), " peak-mappings={}", e.peak);
  if (e.protocol != 0) {
    const char* name = e.protocol == 6 ? "tcp" : e.protocol == 17 ? "udp" : "icmp";
    fmt::format_to(std::back_inserter(out), " protocol={}", name);
  }
}

}  // namespace

std::string format_event(const Event& event) {
  std::string line;
  append_line(line, event);
  return line;
}

BlockLog::BlockLog(std::string path) : path_(std::move(path)) {
  std::error_code ignored;  // open() tells
  std::filesystem::create_directories(std::filesystem::path(path_).parent_path(), ignored);
  fd_ = open();
}

BlockLog::~BlockLog() {
  if (fd_ >= 0) close(fd_);
}

int BlockLog::open() const {
  const int fd = ::open(path_.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
  if (fd < 0) {
    throw std::runtime_error(
        fmt::format("block log {}: cannot be opened: {}; name a file that culvertd may write as "
                    "logging: block-log",
                    path_, std::strerror(errno)));
  }
  // A line that a crash left unfinished gets its end; its event is in the ring still and will be written
  // whole.
  struct stat st{};
  char last = '\n';
  if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 &&
      pread(fd, &last, 1, st.st_size - 1) == 1 && last != '\n') {
    if (write(fd, "\n", 1) != 1) last = 0;  // a full disk: the next write tells
  }
  return fd;
}

void BlockLog::reopen() {
  const int fd = open();
  close(std::exchange(fd_, fd));
  torn_ = 0;
}

void BlockLog::sync() {
  if (fdatasync(fd_) != 0 && errno != EINVAL && errno != EROFS) error_ = errno;
}

size_t BlockLog::write_some(const char* data, size_t size) {
  size_t done = 0;
  error_ = 0;
  while (done < size) {
    const ssize_t n = write(fd_, data + done, size - done);
    if (n > 0) {
      done += static_cast<size_t>(n);
    } else if (n == 0 || errno != EINTR) {
      error_ = n == 0 ? EIO : errno;
      break;
    }
  }
  return done;
}

size_t BlockLog::drain(EventRing& ring) {
  // Nothing else may be written before a torn line's rest.
  if (torn_ != 0 && torn_in_ != &ring && drain(*torn_in_) == 0 && error_ != 0) return 0;
  size_t drained = 0;
  for (;;) {
    text_.clear();
    ends_.clear();
    while (text_.size() < kBatch) {
      const Event* e = ring.peek(static_cast<uint32_t>(ends_.size()));
      if (e == nullptr) break;
      append_line(text_, *e);
      text_ += '\n';
      ends_.push_back(text_.size());
    }
    if (ends_.empty()) return drained;

    const size_t begin = torn_in_ == &ring ? std::min(torn_, ends_[0]) : 0;
    const size_t end = begin + write_some(text_.data() + begin, text_.size() - begin);
    const auto whole = static_cast<size_t>(std::ranges::upper_bound(ends_, end) - ends_.begin());
    ring.release(static_cast<uint32_t>(whole));
    drained += whole;
    torn_in_ = &ring;
    torn_ = end - (whole == 0 ? 0 : ends_[whole - 1]);
    if (error_ != 0) return drained;
  }
}

LogThread::LogThread(BlockLog& log, std::vector<EventRing*> rings,
                     std::function<void(const std::string&)> complain)
    : log_(log), rings_(std::move(rings)), complain_(std::move(complain)), thread_([this] { run(); }) {}

LogThread::~LogThread() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  thread_.join();
  drain_all();  // what came after the thread's last look
  log_.sync();
}

void LogThread::rest(std::chrono::milliseconds time) {
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, time, [this] { return stop_; });
}

size_t LogThread::drain_all() {
  size_t n = 0;
  for (EventRing* ring : rings_) {
    n += log_.drain(*ring);
    if (log_.error() == 0) continue;
    errors_.fetch_add(1, std::memory_order_relaxed);
    if (!failing_.exchange(true)) {
      complain_(fmt::format(
          "block log {}: {}; records wait in their rings, and new blocks are refused when those are "
          "full",
          log_.path(), std::strerror(log_.error())));
    }
    written_.fetch_add(n, std::memory_order_relaxed);
    return n;
  }
  if (n != 0 && failing_.exchange(false))
    complain_(fmt::format("block log {}: can be written again", log_.path()));
  written_.fetch_add(n, std::memory_order_relaxed);
  return n;
}

void LogThread::run() {
  using namespace std::chrono;
  using namespace std::chrono_literals;
  auto synced = steady_clock::now();
  bool dirty = false;
  for (;;) {
    {
      std::lock_guard lock(mutex_);
      if (stop_) return;
    }
    if (reopen_.exchange(false)) {
      try {
        if (dirty) log_.sync();
        log_.reopen();
      } catch (const std::exception& e) {
        complain_(fmt::format("{} (the old file stays in use)", e.what()));
      }
    }
    const size_t n = drain_all();
    dirty |= n != 0;
    if (dirty && steady_clock::now() - synced > 1s) {
      log_.sync();
      synced = steady_clock::now();
      dirty = false;
    }
    if (failing()) {
      rest(200ms);
    } else if (n == 0) {
      rest(5ms);
    }
  }
}

}  // namespace culvert::logging

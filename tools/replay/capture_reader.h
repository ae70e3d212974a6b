/// Reading captures for `culvert replay`: pcap and pcapng, Ethernet or raw IP, one frame at a time.
///
/// A capture is hostile input like any packet: a broken file ends in a `CaptureError` that names the file and
/// the frame, never in a guess. What the file says about a frame is passed on as it is; in particular a frame
/// that the capturing tool cut short (`truncated()`) is handed out and left for the caller to count and drop.
///
/// Time: the pipeline's clock comes from these timestamps, so it must never run backwards. A frame older than
/// the one before it in its file gets the time of that one, and is counted (`backward_timestamps()`).
///
/// Threads: a reader belongs to one thread. Units: nanoseconds since the epoch; bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>

struct pcap;

namespace culvert::replay {

/// What a frame begins with. VLAN tags belong to Ethernet frames and are left in them.
enum class LinkType : uint8_t { ethernet, raw_ip };

/// Which side of the appliance a frame comes from or goes to.
enum class Side : uint8_t { inside, outside };

/// A capture that cannot be read or written; the text names the file, the place and the reason.
struct CaptureError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// One captured frame. `bytes` is valid until the next call of the reader's `next()`.
struct Frame {
  uint64_t timestamp_ns = 0;
  Side side = Side::inside;
  std::span<const uint8_t> bytes;
  uint32_t original_length = 0;  ///< bytes on the wire, which may be more than were captured

  bool truncated() const { return bytes.size() < original_length; }
};

/// One capture file, read from its beginning to its end.
class CaptureReader {
 public:
  /// Opens `path` (`-` is standard input). Throws CaptureError, also for a link type that is neither Ethernet
  /// nor raw IP.
  CaptureReader(const std::string& path, Side side);
  ~CaptureReader();
  CaptureReader(CaptureReader&&) noexcept;
  CaptureReader& operator=(CaptureReader&&) noexcept;

  /// The next frame, or nothing at the end of the file. Throws CaptureError where the file is broken, also
  /// when it ends in the middle of a frame.
  std::optional<Frame> next();

  const std::string& path() const { return path_; }
  Side side() const { return side_; }
  LinkType link_type() const { return link_type_; }
  /// Frames handed out so far.
  uint64_t frames() const { return frames_; }
  /// Frames whose timestamp was before that of their predecessor.
  uint64_t backward_timestamps() const { return backward_timestamps_; }

 private:
  [[noreturn]] void fail(const std::string& why) const;

  struct Close {
    void operator()(pcap* p) const;
  };
  std::string path_;
  Side side_;
  std::unique_ptr<pcap, Close> pcap_;
  LinkType link_type_ = LinkType::ethernet;
  uint64_t frames_ = 0;
  uint64_t latest_ns_ = 0;
  uint64_t backward_timestamps_ = 0;
};

}  // namespace culvert::replay

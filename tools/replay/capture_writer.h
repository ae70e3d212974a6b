/// Writing captures for `culvert replay`: one nanosecond pcap file for each side.
///
/// The same frames give the same file to the byte (on machines of one byte order): nothing in it comes from a
/// clock or from the machine.
///
/// Threads: a writer belongs to one thread. Units: nanoseconds since the epoch; bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "replay/capture_reader.h"

struct pcap;
struct pcap_dumper;

namespace culvert::replay {

/// One capture file being written.
class CaptureWriter {
 public:
  /// Creates or overwrites `path` (`-` is standard output). Throws CaptureError. The caller sees to it that
  /// `path` is not one of his inputs.
  CaptureWriter(const std::string& path, LinkType link_type);
  /// Closes without a word; call `close()` to learn whether everything reached the file.
  ~CaptureWriter();
  CaptureWriter(CaptureWriter&&) noexcept;
  CaptureWriter& operator=(CaptureWriter&&) noexcept;

  /// Appends one frame of 0–262144 bytes, from before the year 2106: what a pcap file can hold. Throws
  /// CaptureError otherwise, and when the disk is full.
  void write(uint64_t timestamp_ns, std::span<const uint8_t> frame);
  /// Writes out what is buffered and closes. Throws CaptureError. Nothing may be written afterwards.
  void close();

  const std::string& path() const { return path_; }
  LinkType link_type() const { return link_type_; }
  uint64_t frames() const { return frames_; }

 private:
  [[noreturn]] void fail() const;

  struct Close {
    void operator()(pcap* p) const;
    void operator()(pcap_dumper* d) const;
  };
  std::string path_;
  LinkType link_type_;
  std::unique_ptr<pcap, Close> pcap_;
  std::unique_ptr<pcap_dumper, Close> dumper_;
  uint64_t frames_ = 0;
};

}  // namespace culvert::replay

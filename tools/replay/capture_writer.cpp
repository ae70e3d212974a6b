#include "replay/capture_writer.h"

#include <fmt/format.h>
#include <pcap/pcap.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace culvert::replay {
namespace {

constexpr uint64_t ns_per_second = 1'000'000'000;
constexpr int snap_length = 262'144;  // what libpcap takes at most when it reads the file back

}  // namespace

void CaptureWriter::Close::operator()(pcap* p) const { pcap_close(p); }
void CaptureWriter::Close::operator()(pcap_dumper* d) const { pcap_dump_close(d); }

CaptureWriter::~CaptureWriter() = default;
CaptureWriter::CaptureWriter(CaptureWriter&&) noexcept = default;
CaptureWriter& CaptureWriter::operator=(CaptureWriter&&) noexcept = default;

CaptureWriter::CaptureWriter(const std::string& path, LinkType link_type)
    : path_(path), link_type_(link_type) {
  const int datalink = link_type == LinkType::ethernet ? DLT_EN10MB : DLT_RAW;
  pcap_.reset(pcap_open_dead_with_tstamp_precision(datalink, snap_length, PCAP_TSTAMP_PRECISION_NANO));
  if (!pcap_) throw CaptureError(fmt::format("{}: no memory for a capture", path));
  dumper_.reset(pcap_dump_open(pcap_.get(), path.c_str()));
  if (!dumper_) {
    std::string why = pcap_geterr(pcap_.get());
    if (why.starts_with(path + ": ")) why.erase(0, path.size() + 2);
    throw CaptureError(fmt::format("{}: cannot be written: {}", path, why));
  }
}

void CaptureWriter::fail() const {
  throw CaptureError(
      fmt::format("{}: cannot be written after frame {}: {}", path_, frames_, std::strerror(errno)));
}

void CaptureWriter::write(uint64_t timestamp_ns, std::span<const uint8_t> frame) {
  if (!dumper_) throw CaptureError(fmt::format("{}: is closed already", path_));
  if (frame.size() > snap_length || timestamp_ns / ns_per_second > UINT32_MAX) {
    throw CaptureError(fmt::format("{}: a frame of {} bytes at {} ns does not fit a pcap file", path_,
                                   frame.size(), timestamp_ns));
  }
  pcap_pkthdr header{};
  header.ts.tv_sec = static_cast<time_t>(timestamp_ns / ns_per_second);
  header.ts.tv_usec = static_cast<suseconds_t>(timestamp_ns % ns_per_second);  // of a nanosecond file
  header.caplen = header.len = static_cast<bpf_u_int32>(frame.size());
  pcap_dump(reinterpret_cast<u_char*>(dumper_.get()), &header, frame.data());  // has no return value
  if (std::ferror(pcap_dump_file(dumper_.get())) != 0) fail();
  ++frames_;
}

void CaptureWriter::close() {
  if (!dumper_) return;
  if (pcap_dump_flush(dumper_.get()) != 0) fail();
  dumper_.reset();
}

}  // namespace culvert::replay

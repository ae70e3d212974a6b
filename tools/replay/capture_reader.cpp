#include "replay/capture_reader.h"

#include <fmt/format.h>
#include <pcap/pcap.h>

namespace culvert::replay {
namespace {

constexpr uint64_t ns_per_second = 1'000'000'000;

std::optional<LinkType> link_type_of(int datalink) {
  switch (datalink) {
    case DLT_EN10MB:
      return LinkType::ethernet;
    case DLT_RAW:  // LINKTYPE_RAW (101) is mapped to it by libpcap
    case DLT_IPV4:
    case DLT_IPV6:
      return LinkType::raw_ip;
    default:
      return std::nullopt;
  }
}

std::string name_of(int datalink) {
  const char* name = pcap_datalink_val_to_name(datalink);
  return name ? name : fmt::format("number {}", datalink);
}

}  // namespace

void CaptureReader::Close::operator()(pcap* p) const { pcap_close(p); }

CaptureReader::~CaptureReader() = default;
CaptureReader::CaptureReader(CaptureReader&&) noexcept = default;
CaptureReader& CaptureReader::operator=(CaptureReader&&) noexcept = default;

CaptureReader::CaptureReader(const std::string& path, Side side) : path_(path), side_(side) {
  char error[PCAP_ERRBUF_SIZE] = "";
  pcap_.reset(pcap_open_offline_with_tstamp_precision(path.c_str(), PCAP_TSTAMP_PRECISION_NANO, error));
  if (!pcap_) {
    std::string why = error;  // libpcap names the file only where fopen failed
    if (why.starts_with(path + ": ")) why.erase(0, path.size() + 2);
    throw CaptureError(fmt::format("{}: cannot be read as a capture: {}", path, why));
  }
  const int datalink = pcap_datalink(pcap_.get());
  const auto type = link_type_of(datalink);
  if (!type) {
    throw CaptureError(
        fmt::format("{}: link type {} is not supported; use Ethernet (EN10MB) or raw IP (RAW, "
                    "IPV4, IPV6), for example after `editcap -T`",
                    path, name_of(datalink)));
  }
  link_type_ = *type;
}

void CaptureReader::fail(const std::string& why) const {
  throw CaptureError(fmt::format("{}: frame {}: {}", path_, frames_ + 1, why));
}

std::optional<Frame> CaptureReader::next() {
  pcap_pkthdr* header = nullptr;
  const u_char* data = nullptr;
  const int got = pcap_next_ex(pcap_.get(), &header, &data);
  if (got == PCAP_ERROR_BREAK) return std::nullopt;
  if (got != 1) fail(pcap_geterr(pcap_.get()));

  // libpcap 1.10 reads a pcap file's 32-bit unsigned seconds as signed; pcapng may say anything.
  int64_t seconds = header->ts.tv_sec;
  if (seconds < 0 && seconds >= INT32_MIN) seconds += int64_t{1} << 32;
  const int64_t fraction = header->ts.tv_usec;  // nanoseconds: the precision asked for
  if (seconds < 0 || static_cast<uint64_t>(seconds) >= UINT64_MAX / ns_per_second || fraction < 0 ||
      static_cast<uint64_t>(fraction) >= ns_per_second) {
    fail(fmt::format("timestamp {} s + {} ns is out of range", seconds, fraction));
  }

  Frame frame;
  frame.timestamp_ns = static_cast<uint64_t>(seconds) * ns_per_second + static_cast<uint64_t>(fraction);
  if (frame.timestamp_ns < latest_ns_) {
    frame.timestamp_ns = latest_ns_;
    ++backward_timestamps_;
  }
  latest_ns_ = frame.timestamp_ns;
  frame.side = side_;
  frame.bytes = {data, header->caplen};
  frame.original_length = header->len;
  ++frames_;
  return frame;
}

}  // namespace culvert::replay

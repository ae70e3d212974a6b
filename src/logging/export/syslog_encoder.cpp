#include "logging/export/syslog_encoder.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "logging/entry_text.h"
#include "logging/export/junos_text.h"

namespace culvert::logging {
namespace {

using Kind = Entry::Kind;

/// RFC 5424 §6.2.1
enum Severity : unsigned { kError = 3, kWarning = 4, kNotice = 5, kInformational = 6 };

Severity severity_of(Kind kind) {
  switch (kind) {
    case Kind::record_lost:
    case Kind::uncertain:
      return kError;
    case Kind::refused:
      return kWarning;
    case Kind::culvertd_started:
    case Kind::culvertd_stopped:
    case Kind::configuration:
    case Kind::clock:
      return kNotice;
    default:
      return kInformational;
  }
}

/// HOSTNAME: 255 printable characters at most (§6.2.4), "-" where there is none.
std::string hostname_of(const ExportConfig& config) {
  std::string name = config.hostname;
  std::array<char, 256> own{};
  if (name.empty() && gethostname(own.data(), own.size() - 1) == 0) name = own.data();
  name.resize(std::min<size_t>(name.size(), 255));
  for (char& c : name)
    if (c <= ' ' || c >= 0x7f) c = '?';
  return name.empty() ? "-" : name;
}

MessageTemplate template_of(const ExportConfig& config) {
  if (config.format != ExportConfig::Format::custom) return {};
  return std::get<MessageTemplate>(MessageTemplate::parse(config.message_template));
}

/// Puts a backslash before what would end a PARAM-VALUE (§6.3.3), from `begin` on.
void escape(std::string& text, size_t begin) {
  for (size_t at = begin; (at = text.find_first_of("\"\\]", at)) != std::string::npos; at += 2)
    text.insert(at, 1, '\\');
}

}  // namespace

SyslogEncoder::SyslogEncoder(const ExportConfig& config, uint32_t pid)
    : format_(config.format),
      template_(template_of(config)),
      structured_data_(config.structured_data),
      facility_(config.facility),
      max_bytes_(config.datagrams() ? config.max_packet_size : 0),
      origin_(fmt::format(" {} culvert {} ", hostname_of(config), pid)),
      element_(fmt::format("culvert@{}", config.enterprise_number)) {}

void SyslogEncoder::append_header(unsigned severity, uint64_t time, std::string_view message_id) {
  message_.clear();
  message_ += '<';
  append_number(message_, facility_ * 8 + severity);
  message_ += ">1 ";
  append_time(message_, time);
  message_ += origin_;
  message_ += message_id;
  message_ += ' ';
  constexpr uint32_t kLast = 2'147'483'647;  // RFC 5424 §7.3.1
  sequence_ = sequence_ == kLast ? 1 : sequence_ + 1;
  if (!structured_data_) {
    message_ += '-';
    return;
  }
  message_ += "[meta sequenceId=\"";
  append_number(message_, sequence_);
  message_ += "\"][";
  message_ += element_;
}

void SyslogEncoder::append_data(const Entry& e) {
  if (!structured_data_) return;
  for (const EntryField& field : entry_fields()) {
    if (!field.in_data) continue;
    const size_t before = message_.size();
    ((message_ += ' ') += field.name) += "=\"";
    const size_t value = message_.size();
    if (field.append(message_, e)) {
      escape(message_, value);
      message_ += '"';
    } else {
      message_.resize(before);
    }
  }
  message_ += ']';
}

void SyslogEncoder::append_message(const Entry& e) {
  switch (format_) {
    case ExportConfig::Format::culvert:
      return append_text(message_, e);
    case ExportConfig::Format::junos:
      return append_junos(message_, e);
    case ExportConfig::Format::junos_short:
      return append_junos_short(message_, e);
    case ExportConfig::Format::custom:
      return template_.append(message_, e);
  }
}

void SyslogEncoder::put(Outbox& out) {
  if (max_bytes_ == 0) {
    append_number(out.bytes, message_.size());
    out.bytes += ' ';
    out.bytes += message_;
  } else {
    // Not within a character (RFC 5424 §6.1).
    size_t bytes = std::min<size_t>(message_.size(), max_bytes_);
    const auto continues = [](char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; };
    if (bytes != message_.size())
      while (bytes != 0 && continues(message_[bytes])) bytes--;
    out.bytes.append(message_, 0, bytes);
  }
  out.ends.push_back(out.bytes.size());
}

bool SyslogEncoder::add(const Entry& e, Outbox& out) {
  append_header(severity_of(e.kind), e.system_time(), name_of(e.kind));
  append_data(e);
  message_ += ' ';
  append_message(e);
  put(out);
  return true;
}

void SyslogEncoder::add_gap(uint64_t first, uint64_t last, Outbox& out) {
  append_header(kError, now_.unix_ms, "export-gap");
  if (structured_data_) {
    fmt::format_to(std::back_inserter(message_),
                   " event=\"export-gap\" first-ordinal=\"{}\" last-ordinal=\"{}\"]", first, last);
  }
  message_ += ' ';
  append_time(message_, now_.unix_ms);
  fmt::format_to(std::back_inserter(message_), " export-gap first-ordinal={} last-ordinal={}", first, last);
  put(out);
}

}  // namespace culvert::logging

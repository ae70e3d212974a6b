#include "logging/export/junos_text.h"

#include <fmt/format.h>

#include <iterator>
#include <string_view>

#include "logging/entry_fields.h"
#include "logging/entry_text.h"
#include "net/mapped.h"

namespace culvert::logging {
namespace {

using Kind = Entry::Kind;

/// Which of Junos' events it is; empty: none.
std::string_view junos_name(Kind kind) {
  switch (kind) {
    case Kind::block_allocated:
      return "ASP_NAT_PORT_BLOCK_ALLOC";
    case Kind::block_released:
      return "ASP_NAT_PORT_BLOCK_RELEASE";
    case Kind::mapping_created:
      return "ASP_PCP_NAT_MAP_CREATE";
    case Kind::mapping_deleted:
      return "ASP_PCP_NAT_MAP_DELETE";
    case Kind::session_created:
      return "ASP_SFW_CREATE_ACCEPT_FLOW";
    case Kind::session_deleted:
      return "ASP_SFW_DELETE_FLOW";
    default:
      return {};
  }
}

char letter(Kind kind) {
  switch (kind) {
    case Kind::block_allocated:
      return 'A';
    case Kind::block_released:
      return 'R';
    case Kind::mapping_created:
    case Kind::session_created:
      return 'C';
    default:
      return 'D';
  }
}

void append(std::string& out, const Entry& e, std::string_view field) {
  if (!find_entry_field(field)->append(out, e)) out += '-';
}

/// A host and its port. Junos puts no brackets around IPv6.
void append_endpoint(std::string& out, std::string_view host, uint16_t port) {
  out += host;
  out += ':';
  append_number(out, port);
}

std::string internal_host(const Entry& e) {
  std::string host;
  append(host, e, e.internal ? "internal" : "subscriber");
  return host;
}

void append_session(std::string& out, const Entry& e) {
  std::string protocol = protocol_text(e.protocol);
  for (char& c : protocol) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  fmt::format_to(std::back_inserter(out), "proto {} ({}) application: any, (null)(null)", e.protocol,
                 protocol);
  append_endpoint(out, internal_host(e), e.internal_port);
  out += " -> ";
  if (e.destination)
    append_endpoint(out, e.destination->text(), e.destination_port);
  else
    out += "0.0.0.0:0";
  out += e.kind == Kind::session_created ? ", creating" : ", deleting";
  out += " forward or watch flow ; source address and port translate to ";
  append_endpoint(out, e.external.text(), e.first_port);
  if (e.carriage == Entry::Carriage::ds_lite) {
    out += " ;Softwire ";
    append(out, e, "subscriber");
  }
}

void append_block(std::string& out, const Entry& e) {
  append(out, e, "subscriber");
  out += " -> ";
  append(out, e, "external");
  out += ':';
  append(out, e, "ports");
  if (e.kind == Kind::block_released && e.since) {
    const uint64_t allocated = *e.since + static_cast<uint64_t>(e.clock_ahead);
    fmt::format_to(std::back_inserter(out), " {:#x}", allocated / 1000);
  }
}

void append_mapping(std::string& out, const Entry& e) {
  if (e.carriage == Entry::Carriage::ds_lite) {
    append(out, e, "subscriber");
    out += ' ';
  }
  append_endpoint(out, internal_host(e), e.internal_port);
  out += " -> ";
  append_endpoint(out, e.external.text(), e.first_port);
}

/// The first four groups of an IPv6 address, or an IPv4 address.
void append_prefix64(std::string& out, const Entry& e) {
  if (e.subscriber_length == 0 || net::mapped_ipv4(e.subscriber)) return append(out, e, "subscriber");
  const uint64_t high = e.subscriber.high();
  fmt::format_to(std::back_inserter(out), "{:x}:{:x}:{:x}:{:x}", high >> 48, high >> 32 & 0xffff,
                 high >> 16 & 0xffff, high & 0xffff);
}

}  // namespace

void append_junos(std::string& out, const Entry& e) {
  const std::string_view name = junos_name(e.kind);
  if (name.empty()) return append_text(out, e);
  std::string time;
  append_time(time, e.system_time());
  fmt::format_to(std::back_inserter(out), "(FPC Slot 0, PIC Slot {}) {} {} ", e.worker,
                 std::string_view(time).substr(0, 10), std::string_view(time).substr(11, 8));
  const bool block = e.kind == Kind::block_allocated || e.kind == Kind::block_released;
  const bool session = e.kind == Kind::session_created || e.kind == Kind::session_deleted;
  if (!block) {  // Junos names the service set of these only
    out += '{';
    append(out, e, "instance");
    out += '}';
  }
  fmt::format_to(std::back_inserter(out), "[FWNAT]:{}{}: ", session ? " " : "", name);
  if (block)
    append_block(out, e);
  else if (session)
    append_session(out, e);
  else
    append_mapping(out, e);
}

void append_junos_short(std::string& out, const Entry& e) {
  if (junos_name(e.kind).empty()) return append_text(out, e);
  std::string time;
  append_time(time, e.system_time());
  out.append(time, 11, 8);
  out += ' ';
  out += letter(e.kind);
  if (e.kind == Kind::session_created || e.kind == Kind::session_deleted) {
    out += ' ';
    append_number(out, e.protocol);
  }
  out += ' ';
  append(out, e, "external");
  out += ' ';
  if (e.first_port == e.last_port)
    append_number(out, e.first_port);
  else
    append(out, e, "ports");
  out += ' ';
  append_prefix64(out, e);
}

}  // namespace culvert::logging

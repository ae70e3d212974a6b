#include "control/api_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "net/mapped.h"

namespace culvert::control {
namespace {

using nlohmann::json;

/// A mistake in the request; what() is for the operator.
struct RequestError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// What the operator typed, short and printable enough for a message.
std::string shown(std::string_view text) {
  std::string out(text.substr(0, 60));
  for (char& c : out) {
    if (c < 0x20 || c > 0x7e) c = '?';
  }
  return text.size() > 60 ? out + "..." : out;
}

net::Ipv6Prefix parse_subscriber(std::string_view text) {
  if (const auto prefix = net::parse_subscriber(text)) return *prefix;
  throw RequestError(fmt::format(
      "subscriber {}: not an address or prefix (host bits zero), like 2001:db8:1::/56 or 100.64.0.7",
      shown(text)));
}

uint16_t parse_port(const char* key, std::string_view whole, std::string_view text) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value > 65535) {
    throw RequestError(fmt::format("{} {}: the port is no number from 0 to 65535", key, shown(whole)));
  }
  return static_cast<uint16_t>(value);
}

void parse_external(std::string_view text, RowFilter& out) {
  const size_t colon = text.find(':');
  out.external = net::Ipv4Address::parse(text.substr(0, colon));
  if (!out.external) {
    throw RequestError(fmt::format(
        "external {}: not an IPv4 address or address and port, like 203.0.113.5:4711", shown(text)));
  }
  if (colon != text.npos) out.external_port = parse_port("external", text, text.substr(colon + 1));
}

void parse_internal(std::string_view text, RowFilter& out) {
  if ((out.internal_ipv6 = net::Ipv6Address::parse(text))) return;
  if (text.starts_with('[')) {
    const size_t bracket = text.find("]:");
    if (bracket != text.npos) {
      out.internal_ipv6 = net::Ipv6Address::parse(text.substr(1, bracket - 1));
      if (out.internal_ipv6) {
        out.internal_port = parse_port("internal", text, text.substr(bracket + 2));
        return;
      }
    }
  } else {
    const size_t colon = text.find(':');
    out.internal_ipv4 = net::Ipv4Address::parse(text.substr(0, colon));
    if (out.internal_ipv4) {
      if (colon != text.npos) out.internal_port = parse_port("internal", text, text.substr(colon + 1));
      return;
    }
  }
  throw RequestError(fmt::format(
      "internal {}: not an address or address and port, like 192.168.1.2:4711 or [2001:db8::1]:4711",
      shown(text)));
}

config::Protocol parse_protocol(std::string_view text) {
  for (const auto p : {config::Protocol::udp, config::Protocol::tcp, config::Protocol::icmp}) {
    if (text == name_of(p)) return p;
  }
  throw RequestError(fmt::format("protocol {}: udp, tcp or icmp is needed", shown(text)));
}

struct Command {
  std::string_view name;
  std::string_view keys;  ///< space-separated
};
constexpr std::array kCommands = {
    Command{"status", ""},
    Command{"interfaces", ""},
    Command{"drops", ""},
    Command{"workers", ""},
    Command{"exports", ""},
    Command{"reload", ""},
    Command{"pools", "instance"},
    Command{"subscribers", "subscriber external instance limit"},
    Command{"blocks", "subscriber external instance limit"},
    Command{"mappings", "subscriber external internal protocol instance limit"},
    Command{"clear-mappings", "subscriber external internal protocol instance all"},
    Command{"clear-subscribers", "subscriber external instance all"},
};

bool contains_word(std::string_view words, std::string_view word) {
  while (!words.empty()) {
    const size_t space = std::min(words.find(' '), words.size());
    if (words.substr(0, space) == word) return true;
    words.remove_prefix(std::min(space + 1, words.size()));
  }
  return false;
}

const Command& find_command(const std::string& name) {
  for (const Command& c : kCommands) {
    if (c.name == name) return c;
  }
  throw RequestError(fmt::format("there is no command {}", shown(name)));
}

const std::string& string_of(const std::string& key, const json& value) {
  if (!value.is_string()) throw RequestError(fmt::format("{}: a string is needed", shown(key)));
  return value.get_ref<const std::string&>();
}

void take_key(const std::string& key, const json& value, ApiRequest& out) {
  if (key == "subscriber") {
    out.filter.subscriber = parse_subscriber(string_of(key, value));
  } else if (key == "external") {
    parse_external(string_of(key, value), out.filter);
  } else if (key == "internal") {
    parse_internal(string_of(key, value), out.filter);
  } else if (key == "protocol") {
    out.filter.protocol = parse_protocol(string_of(key, value));
  } else if (key == "instance") {
    out.filter.instance = string_of(key, value);
  } else if (key == "limit") {
    if (!value.is_number_unsigned()) throw RequestError("limit: a number of rows is needed");
    out.limit = value.get<uint64_t>();
  } else if (key == "all") {
    if (!value.is_boolean()) throw RequestError("all: true or false is needed");
    out.all = value.get<bool>();
  }
}

ApiRequest read_request(std::string_view line) {
  const json request = json::parse(line, nullptr, false);
  if (!request.is_object()) throw RequestError("the request is not a JSON object on one line");
  const auto command = request.find("command");
  if (command == request.end()) throw RequestError("the request has no \"command\"");
  ApiRequest out;
  out.command = string_of("command", *command);
  const Command& known = find_command(out.command);
  for (const auto& [key, value] : request.items()) {
    if (key == "command") continue;
    if (!contains_word(known.keys, key)) {
      throw RequestError(fmt::format("{} does not take {}{}{}", known.name, shown(key),
                                     known.keys.empty() ? "" : "; it takes ", known.keys));
    }
    take_key(key, value, out);
  }
  if (out.command.starts_with("clear-") && out.filter.empty() && !out.all) {
    throw RequestError("clear needs a filter that says whose, or all");
  }
  return out;
}

}  // namespace

bool RowFilter::empty() const {
  return !subscriber && !external && !internal_ipv4 && !internal_ipv6 && !protocol && !instance;
}

bool RowFilter::takes(const dataplane::Subscriber& s) const {
  if (!subscriber) return true;
  const unsigned shorter = std::min<unsigned>(subscriber->length, s.mask);
  return s.key.prefix.masked(shorter) == subscriber->address.masked(shorter);
}

bool RowFilter::takes(const dataplane::Mapping& m) const {
  if (external && m.external_address != *external) return false;
  if (external_port && m.external_port.value() != *external_port) return false;
  if (internal_ipv4 && m.internal.ipv4 != *internal_ipv4) return false;
  if (internal_ipv6 && m.internal.ipv6 != *internal_ipv6) return false;
  if (internal_port && m.internal.port.value() != *internal_port) return false;
  return !protocol || m.internal.protocol == *protocol;
}

std::variant<ApiRequest, std::string> parse_request(std::string_view line) {
  if (line.size() > kLongestRequest)
    return fmt::format("the request is longer than {} bytes", kLongestRequest);
  try {
    return read_request(line);
  } catch (const RequestError& e) {
    return std::string(e.what());
  }
}

std::string_view name_of(config::Protocol p) {
  return p == config::Protocol::udp ? "udp" : p == config::Protocol::tcp ? "tcp" : "icmp";
}

}  // namespace culvert::control

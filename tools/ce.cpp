/// `culvert ce`: options and life of the customer's end of a softwire.

#include <fmt/format.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>

#include <boost/program_options.hpp>
#include <csignal>
#include <iostream>
#include <optional>
#include <stdexcept>

#include "ce_b4.h"
#include "ce_tun.h"
#include "commands.h"
#include "net/address.h"

namespace culvert::tools {
namespace {

namespace po = boost::program_options;

constexpr char kHelp[] = R"(culvert ce — the customer's end of a softwire, on a TUN device

  culvert ce --mode b4 --tun NAME --local B4_IPV6 --remote AFTR_IPV6 [options]

IPv4 packets routed into the TUN device leave inside IPv6 packets from --local to --remote (next header 4);
inner packets that --remote sends to --local come out of the TUN device. --local must be an address of this
host. It runs in the foreground until SIGTERM or SIGINT, then removes the device and prints what it carried.
It needs root, or CAP_NET_ADMIN and CAP_NET_RAW.

Mode b4 is the B4 element of DS-Lite (RFC 6333): no NAT here, the home's own addresses reach the AFTR.

Example: a home whose whole IPv4 goes through the AFTR 2001:db8:a::1

  culvert ce --mode b4 --tun b4 --local 2001:db8:100:100::2 --remote 2001:db8:a::1 --default-route
)";

constexpr unsigned kIpv6HeaderBytes = 40;
constexpr unsigned kEncapsulationLimitBytes = 8;
constexpr unsigned kEthernetMtu = 1500;
constexpr unsigned kMinimumMtu = 576;  // what every IPv4 host must take, RFC 1122 §3.3.2

/// A mistake on the command line; what() is the whole message.
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Options {
  std::string tun;
  net::Ipv6Address local, remote;
  net::InterfaceAddress<net::Ipv4Address> inner;
  std::optional<uint8_t> encapsulation_limit;
  uint16_t mtu = 0;
  bool default_route = false;
};

net::Ipv6Address parse_ipv6(const char* option, const std::string& text) {
  const auto address = net::Ipv6Address::parse(text);
  if (!address) throw UsageError(fmt::format("{} {}: not an IPv6 address", option, text));
  return *address;
}

/// The option's value as a number in minimum–maximum.
unsigned parse_number(const char* option, const std::string& text, unsigned minimum, unsigned maximum) {
  const bool digits = !text.empty() && text.size() <= 6 && text.find_first_not_of("0123456789") == text.npos;
  const unsigned long value = digits ? std::stoul(text) : 0;
  if (!digits || value < minimum || value > maximum) {
    throw UsageError(fmt::format("{} {}: a number from {} to {} is needed", option, text, minimum, maximum));
  }
  return static_cast<unsigned>(value);
}

po::options_description describe() {
  po::options_description options("Options");
  options.add_options()                                                                             //
      ("mode", po::value<std::string>(), "b4: DS-Lite, RFC 6333")                                   //
      ("tun", po::value<std::string>(), "name of the TUN device to create")                         //
      ("local", po::value<std::string>(), "our end of the softwire, an IPv6 address of this host")  //
      ("remote", po::value<std::string>(), "the far end: the AFTR's IPv6 address")                  //
      ("inner", po::value<std::string>()->default_value("192.0.0.2/29"),
       "IPv4 address of the TUN device; the default is the B4's well-known one, RFC 6333 section 5.7")  //
      ("mtu", po::value<std::string>(),
       "MTU of the TUN device; default 1500 less what we add: 1460, or 1452 "
       "with an encapsulation limit")  //
      ("encaplimit", po::value<std::string>()->default_value("none"),
       "0-255: add the tunnel encapsulation limit option of RFC 2473, as Linux's tunnels do; or none")  //
      ("default-route", "send all IPv4 of this host that has no better route into the TUN device")      //
      ("help,h", "this text");
  return options;
}

Options parse(const po::variables_map& given) {
  const auto required = [&](const char* name) {
    if (!given.contains(name)) throw UsageError(fmt::format("--{} is needed", name));
    return given[name].as<std::string>();
  };
  if (const auto mode = required("mode"); mode != "b4") {
    throw UsageError(fmt::format("--mode {}: the only mode is b4", mode));
  }
  Options out;
  out.tun = required("tun");
  out.local = parse_ipv6("--local", required("local"));
  out.remote = parse_ipv6("--remote", required("remote"));
  const auto inner = net::parse_interface_ipv4(required("inner"));
  if (!inner) {
    throw UsageError(
        fmt::format("--inner {}: ADDRESS/LENGTH is needed, like 192.0.0.2/29", required("inner")));
  }
  out.inner = *inner;
  if (const auto limit = required("encaplimit"); limit != "none") {
    out.encapsulation_limit = static_cast<uint8_t>(parse_number("--encaplimit", limit, 0, 255));
  }
  const unsigned overhead = kIpv6HeaderBytes + (out.encapsulation_limit ? kEncapsulationLimitBytes : 0);
  out.mtu = static_cast<uint16_t>(given.contains("mtu") ? parse_number("--mtu", required("mtu"), kMinimumMtu,
                                                                       65535 - kEncapsulationLimitBytes)
                                                        : kEthernetMtu - overhead);
  out.default_route = given.contains("default-route");
  return out;
}

/// SIGTERM and SIGINT as a descriptor, so that the packet loop ends between two packets.
FileDescriptor end_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  return FileDescriptor(checked(signalfd(-1, &signals, SFD_CLOEXEC), "opening a signalfd"));
}

void carry(const Options& options) {
  const FileDescriptor signals = end_signals();
  const Softwire softwire(options.local, options.remote, options.encapsulation_limit);
  TunDevice tun(options.tun);
  tun.configure(options.inner, options.mtu);
  if (options.default_route) tun.add_default_route();
  std::cerr << fmt::format("culvert ce: softwire {} -> {} on {}, MTU {}\n", options.local.text(),
                           options.remote.text(), options.tun, options.mtu);
  sd_notify(0, "READY=1");
  const B4Counters c = run_b4(softwire, tun.fd(), signals.get());
  sd_notify(0, "STOPPING=1");
  std::cerr << fmt::format(
      "culvert ce: sent {}, received {}, not IPv4 {}, not sent {}, not delivered {}, congestion {}\n", c.sent,
      c.received, c.not_ipv4, c.send_failed, c.deliver_failed, c.congestion_drop);
}

}  // namespace

int run_ce(int argc, char** argv) {
  try {
    const po::options_description description = describe();
    po::variables_map given;
    po::store(po::command_line_parser(argc, argv).options(description).positional({}).run(), given);
    if (given.contains("help")) {
      std::cout << kHelp << '\n' << description;
      return 0;
    }
    carry(parse(given));
    return 0;
  } catch (const po::error& e) {
    std::cerr << "culvert ce: " << e.what() << "; see culvert ce --help\n";
    return 2;
  } catch (const UsageError& e) {
    std::cerr << "culvert ce: " << e.what() << "; see culvert ce --help\n";
    return 2;
  } catch (const std::exception& e) {
    std::cerr << "culvert ce: " << e.what() << '\n';
    return 1;
  }
}

}  // namespace culvert::tools

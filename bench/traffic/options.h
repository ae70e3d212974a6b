/// culvert-traffic's command line.
#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>

#include "profile.h"

namespace culvert::bench {

/// The command line is wrong; what() says how.
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

enum class Task : uint8_t { trial, search, connections };

struct Options {
  Task task = Task::trial;
  Profile profile;
  bool outbound = true, inbound = true;
  double rate = 100'000;        ///< packets a second in each direction; of a search: the first one
  double most = 100'000'000;    ///< of a search
  double setup_rate = 100'000;  ///< mappings a second in the preliminary phase
  double seconds = 5;
  double resolution = 0.05;  ///< part of the rate
  double tolerance = 0;      ///< part of the packets that may be lost
  unsigned attempts = 1;
  unsigned trials_room = 1;  ///< of --connections: trials with mappings of their own
  double missed = 0.001;     ///< part of the packets that may not have been offered in time
  double burst = 64;
  double linger = 0.2;
  unsigned verify_every = 1;

  std::string inside, outside;  ///< DPDK devices
  net::MacAddress inside_peer, outside_peer;
  uint16_t cpu = 0;
  bool cpu_given = false;
  uint16_t descriptors = 1024;
  uint16_t mtu = 1540;
  double link_wait = 5;  ///< seconds

  std::string json;  ///< a file, "-" for standard output, empty for none
  bool quiet = false, stay = false, debug = false;
};

/// The options; nothing when --help was asked for and printed. Throws UsageError.
std::optional<Options> parse_options(int argc, char** argv);

}  // namespace culvert::bench

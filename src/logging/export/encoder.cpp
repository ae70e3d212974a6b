#include "logging/export/encoder.h"

#include <time.h>

#include <chrono>

#include "logging/export/flow_encoder.h"
#include "logging/export/syslog_encoder.h"

namespace culvert::logging {

Moment moment_now() {
  timespec up{};
  clock_gettime(CLOCK_BOOTTIME, &up);
  const auto time = std::chrono::system_clock::now().time_since_epoch();
  return {static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(time).count()),
          static_cast<uint32_t>(static_cast<uint64_t>(up.tv_sec) * 1000 +
                                static_cast<uint64_t>(up.tv_nsec) / 1'000'000)};
}

std::unique_ptr<Encoder> make_encoder(const ExportConfig& config, uint32_t pid) {
  if (config.protocol == ExportConfig::Protocol::syslog) return std::make_unique<SyslogEncoder>(config, pid);
  return std::make_unique<FlowEncoder>(config);
}

}  // namespace culvert::logging

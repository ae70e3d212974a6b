#include "logging/export/encoder.h"

#include "logging/export/flow_encoder.h"
#include "logging/export/syslog_encoder.h"

namespace culvert::logging {

std::unique_ptr<Encoder> make_encoder(const ExportConfig& config, uint32_t pid) {
  if (config.protocol == ExportConfig::Protocol::syslog) return std::make_unique<SyslogEncoder>(config, pid);
  return std::make_unique<FlowEncoder>(config);
}

}  // namespace culvert::logging

#include "control/dpdk_log.h"

#include <rte_log.h>
#include <sys/types.h>

namespace culvert::control {
namespace {

ssize_t write_message(void* cookie, const char* data, size_t size) {
  std::string_view text(data, size);
  while (text.ends_with('\n')) text.remove_suffix(1);
  const auto level = static_cast<uint32_t>(rte_log_cur_msg_loglevel());
  auto& log = *static_cast<Log*>(cookie);
  log.write(level <= RTE_LOG_ERR       ? Level::error
            : level <= RTE_LOG_WARNING ? Level::warning
            : level <= RTE_LOG_INFO    ? Level::info
                                       : Level::debug,
            fmt::format("dpdk: {}", text));
  return static_cast<ssize_t>(size);
}

}  // namespace

DpdkLog::DpdkLog(Log& log) {
  cookie_io_functions_t functions{};
  functions.write = write_message;
  stream_ = fopencookie(&log, "w", functions);
  if (stream_ != nullptr) rte_openlog_stream(stream_);
}

DpdkLog::~DpdkLog() {
  rte_openlog_stream(nullptr);
  if (stream_ != nullptr) fclose(stream_);
}

}  // namespace culvert::control

/// What DPDK and its drivers print goes to our Log, with its level, instead of stderr and syslog.
///
/// Thread: any may print. One at a time; made before the EAL starts, gone after it ended.
#pragma once

#include <cstdio>

#include "control/log.h"

namespace culvert::control {

class DpdkLog {
 public:
  explicit DpdkLog(Log& log);
  ~DpdkLog();
  DpdkLog(const DpdkLog&) = delete;
  DpdkLog& operator=(const DpdkLog&) = delete;

 private:
  FILE* stream_ = nullptr;
};

}  // namespace culvert::control

/// CPUs for the threads of a scenario that has several. culvert-bench is started on one CPU (taskset) and
/// stays there; its second threads go to another one by themselves.
#pragma once

#include <sched.h>

namespace culvert::bench {

/// The CPU of this thread.
int this_cpu();
/// Another one that this process may use, on a core of its own if there is one; -1: there is none.
int other_cpu();
/// What to say then.
inline constexpr const char* kOneCpu = "needs a second CPU";

/// Puts this thread, and those it starts meanwhile, on a CPU.
class OnCpu {
 public:
  explicit OnCpu(int cpu);
  ~OnCpu();
  OnCpu(const OnCpu&) = delete;
  OnCpu& operator=(const OnCpu&) = delete;

 private:
  cpu_set_t before_;
};

}  // namespace culvert::bench

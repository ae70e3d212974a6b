#include "cpus.h"

#include <fmt/format.h>

#include <fstream>
#include <stdexcept>
#include <string>

namespace culvert::bench {
namespace {

/// CPUs with which this one shares a core, in the kernel's words.
std::string siblings(int cpu) {
  std::ifstream file(fmt::format("/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list", cpu));
  std::string text;
  std::getline(file, text);
  return text;
}

}  // namespace

int this_cpu() {
  const int cpu = sched_getcpu();
  return cpu < 0 ? 0 : cpu;
}

int other_cpu() {
  cpu_set_t before, all;
  if (sched_getaffinity(0, sizeof before, &before) != 0) return -1;
  CPU_ZERO(&all);
  for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) CPU_SET(cpu, &all);
  const int self = this_cpu();
  // The kernel leaves those of the set that exist and that this process's control group allows.
  if (sched_setaffinity(0, sizeof all, &all) != 0) return -1;
  sched_getaffinity(0, sizeof all, &all);
  sched_setaffinity(0, sizeof before, &before);
  int found = -1;
  for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
    if (cpu == self || !CPU_ISSET(cpu, &all)) continue;
    if (siblings(cpu).empty() || siblings(cpu) != siblings(self)) return cpu;
    if (found < 0) found = cpu;
  }
  return found;
}

OnCpu::OnCpu(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  if (sched_getaffinity(0, sizeof before_, &before_) != 0 || sched_setaffinity(0, sizeof set, &set) != 0)
    throw std::runtime_error(fmt::format("no thread can be put on CPU {}", cpu));
}

OnCpu::~OnCpu() { sched_setaffinity(0, sizeof before_, &before_); }

}  // namespace culvert::bench

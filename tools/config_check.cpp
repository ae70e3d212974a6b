#include "config_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <ostream>
#include <variant>

#include "config/load.h"
#include "control/memory_plan.h"

namespace culvert::tools {

int check_config(const std::string& path, std::ostream& out, std::ostream& errors) {
  const auto loaded = config::load_file(path);
  if (const auto* problems = std::get_if<config::Problems>(&loaded)) {
    for (const config::Problem& p : *problems) errors << p.text() << '\n';
    return 2;
  }
  const auto& config = std::get<config::Config>(loaded);
  size_t pools = 0;
  for (const config::Instance& i : config.instances) pools += i.pools.size();
  const auto plural = [](size_t n, std::string_view noun) {
    return fmt::format("{} {}{}", n, noun, n == 1 ? "" : "s");
  };
  out << fmt::format("{}: ok, {}, {}, {}, {}\n", path, plural(config.workers, "worker"),
                     plural(config.interfaces.size(), "interface"),
                     plural(config.instances.size(), "instance"), plural(pools, "pool"));
  // Of the whole machine's memory, not of what is free now: a culvertd that runs has taken its part already,
  // and the file may be meant for another machine.
  control::MemoryThere machine = control::memory_there();
  machine.ordinary = machine.machine - std::min(machine.machine, machine.huge);
  machine.limited_by = "MemTotal in /proc/meminfo";
  if (const std::string error = control::shortage(control::plan_memory(config), machine); !error.empty())
    errors << fmt::format("{}: warning: culvertd would not start on this machine: {}\n", path, error);
  return 0;
}

}  // namespace culvert::tools

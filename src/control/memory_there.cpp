/// What memory the machine and its control groups leave us (memory_plan.h).
#include <charconv>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>

#include "control/memory_plan.h"

namespace culvert::control {
namespace {

namespace fs = std::filesystem;

std::optional<uint64_t> number_in(const fs::path& file) {
  uint64_t n = 0;
  return std::ifstream(file) >> n ? std::optional(n) : std::nullopt;  // "max" is none
}

/// The number behind a word at the beginning of a line, as in /proc/meminfo and memory.stat.
uint64_t number_behind(const fs::path& file, std::string_view word) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(word)) continue;
    const size_t at = line.find_first_of("0123456789", word.size());
    uint64_t n = 0;
    if (at != line.npos) std::from_chars(line.data() + at, line.data() + line.size(), n);
    return n;
  }
  return 0;
}

/// The names of a version of control groups.
struct Names {
  const char *folder, *limit, *used, *idle_cache, *busy_cache;
};
constexpr Names kVersion1 = {"sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes",
                             "total_inactive_file ", "total_active_file "};
constexpr Names kVersion2 = {"sys/fs/cgroup", "memory.max", "memory.current", "inactive_file ",
                             "active_file "};

/// Lets `there` be no more than this group and those around it leave.
void limit_by(MemoryThere& there, const fs::path& root, const Names& names, const std::string& group) {
  const fs::path top = root / names.folder;
  fs::path folder = top / fs::path(group).relative_path();
  // In a container the group's path may be the host's, and the top what we see of it.
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored)) folder = top;
  for (;; folder = folder.parent_path()) {
    const auto limit = number_in(folder / names.limit), used = number_in(folder / names.used);
    if (limit && used) {
      const fs::path stat = folder / "memory.stat";
      const uint64_t cache = number_behind(stat, names.idle_cache) + number_behind(stat, names.busy_cache);
      const uint64_t held = *used - std::min(*used, cache);
      const uint64_t room = *limit - std::min(*limit, held);
      if (room < there.ordinary) {
        there.ordinary = room;
        there.limited_by = (folder / names.limit).string();
      }
    }
    if (folder == top || !folder.has_relative_path()) return;
  }
}

}  // namespace

MemoryThere memory_there(const std::string& root) {
  const fs::path at(root.empty() ? "/" : root);
  const fs::path meminfo = at / "proc/meminfo";
  MemoryThere there;
  there.machine = number_behind(meminfo, "MemTotal:") * 1024;
  there.ordinary = number_behind(meminfo, "MemAvailable:") * 1024;
  there.limited_by = "MemAvailable in /proc/meminfo";
  there.huge_page = number_behind(meminfo, "Hugepagesize:") * 1024;
  const uint64_t free = number_behind(meminfo, "HugePages_Free:"),
                 promised = number_behind(meminfo, "HugePages_Rsvd:");
  there.huge = (free - std::min(free, promised)) * there.huge_page;
  std::error_code ignored;
  for (const auto& size : fs::directory_iterator(at / "sys/kernel/mm/hugepages", ignored)) {
    constexpr std::string_view kBefore = "hugepages-";
    const std::string name = size.path().filename();  // hugepages-2048kB
    uint64_t kilobytes = 0;
    if (!name.starts_with(kBefore)) continue;
    std::from_chars(name.data() + kBefore.size(), name.data() + name.size(), kilobytes);
    there.huge_of_all += number_in(size.path() / "free_hugepages").value_or(0) * kilobytes * 1024;
  }

  std::ifstream groups(at / "proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {  // number:controllers:path
    std::istringstream parts(line);
    std::string number, controllers, path;
    std::getline(parts, number, ':');
    std::getline(parts, controllers, ':');
    std::getline(parts, path);
    if (controllers.empty()) {
      limit_by(there, at, kVersion2, path);
    } else if (("," + controllers + ",").find(",memory,") != std::string::npos) {
      limit_by(there, at, kVersion1, path);
    }
  }
  return there;
}

}  // namespace culvert::control

/// A directory that a test has to itself and that goes away with it, also when the test is killed half way:
/// then the next one removes it.
#pragma once

#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace culvert::test {

class TestDirectory {
 public:
  TestDirectory() {
    remove_leftovers();
    static int number = 0;
    base_ = std::filesystem::temp_directory_path() /
            (kPrefix + std::to_string(getpid()) + "-" + std::to_string(number++));
    std::filesystem::create_directory(base_);
  }
  ~TestDirectory() {
    if (mounted_) umount2(base_.c_str(), MNT_DETACH);
    std::error_code ignored;
    std::filesystem::remove_all(base_, ignored);
  }
  TestDirectory(const TestDirectory&) = delete;
  TestDirectory& operator=(const TestDirectory&) = delete;

  std::string path(const std::string& name) const {
    return base_.string() + (name.empty() ? "" : "/" + name);
  }

  /// Puts a small file system there, in a mount namespace that this process does not share, so that the mount
  /// ends with the process. False without the right to.
  bool mount_tmpfs(const char* options) {
    if (geteuid() != 0) return false;
    static const bool own =
        unshare(CLONE_NEWNS) == 0 && mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
    mounted_ = own && mount("tmpfs", base_.c_str(), "tmpfs", 0, options) == 0;
    return mounted_;
  }

 private:
  static constexpr const char* kPrefix = "culvert-unit-";
  static void remove_leftovers() {
    std::error_code ignored;
    for (const auto& entry :
         std::filesystem::directory_iterator(std::filesystem::temp_directory_path(), ignored)) {
      const std::string name = entry.path().filename();
      if (!name.starts_with(kPrefix)) continue;
      pid_t owner = 0;
      const char* begin = name.data() + std::string_view(kPrefix).size();
      if (std::from_chars(begin, name.data() + name.size(), owner).ec == std::errc{} && kill(owner, 0) != 0) {
        std::filesystem::remove_all(entry.path(), ignored);
      }
    }
  }

  std::filesystem::path base_;
  bool mounted_ = false;
};

}  // namespace culvert::test

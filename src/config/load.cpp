#include "config/load.h"

#include <fmt/format.h>
#include <openssl/sha.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <new>

#include "config/build.h"
#include "config/checks.h"
#include "config/reader.h"
#include "config/report.h"
#include "config/tree.h"

namespace culvert::config {
namespace {

std::variant<Config, Problems> load(std::string_view yaml, const std::string& name) {
  Report report(name);
  auto tree = parse_tree(yaml, report);
  if (!tree) return report.take();
  Record root = read_root(*tree, report);
  check_interfaces(root, report);
  check_instances(root, report);
  check_prefixes(root, report);
  check_overlaps(root, report);
  check_ports(root, report);
  check_static_mappings(root, report);
  check_capacity(root, report);
  check_exports(root, report);
  if (!report.empty()) return report.take();
  Config config = build(root, name);
  SHA256(reinterpret_cast<const unsigned char*>(yaml.data()), yaml.size(), config.sha256.data());
  return config;
}

Problems unreadable(const std::string& path, int error) {
  return {Problem{path, 1, 1, "the file cannot be read", std::strerror(error),
                  "check its name and its permissions"}};
}

}  // namespace

std::variant<Config, Problems> load_text(std::string_view yaml, const std::string& name) {
  try {
    return load(yaml, name);
  } catch (const std::exception& error) {  // in practice std::bad_alloc
    return Problems{Problem{name, 1, 1, "the configuration could not be read", error.what(),
                            "make the file smaller, or free some memory"}};
  }
}

std::variant<Config, Problems> load_file(const std::string& path) {
  std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "re"), &std::fclose);
  if (!file) return unreadable(path, errno);
  // One byte more than allowed is enough for parse_tree to refuse the file; a pipe or device must not fill
  // memory.
  try {
    std::string text(TreeLimits::bytes + 1, '\0');
    errno = 0;
    text.resize(std::fread(text.data(), 1, text.size(), file.get()));
    if (std::ferror(file.get())) return unreadable(path, errno);
    return load_text(text, path);
  } catch (const std::bad_alloc&) {
    return unreadable(path, ENOMEM);
  }
}

}  // namespace culvert::config

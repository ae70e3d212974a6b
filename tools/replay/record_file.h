/// The file that `culvert replay --block-log` writes: one line for each event that would go on record.
#pragma once

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "logging/entry_text.h"

namespace culvert::replay {

class RecordFile {
 public:
  /// Empties the file. Throws std::runtime_error with path and reason, as all here.
  explicit RecordFile(std::string path) : path_(std::move(path)), file_(std::fopen(path_.c_str(), "we")) {
    if (!file_) fail();
  }
  void write(const logging::Entry& e) {
    line_.clear();
    logging::append_text(line_, e);
    line_ += '\n';
    if (std::fwrite(line_.data(), 1, line_.size(), file_.get()) != line_.size()) fail();
  }
  /// Whether all is written shows here.
  void close() {
    if (std::fclose(file_.release()) != 0) fail();
  }

 private:
  struct Close {
    void operator()(FILE* file) const { std::fclose(file); }
  };
  [[noreturn]] void fail() const {
    throw std::runtime_error(fmt::format("{}: {}", path_, std::strerror(errno)));
  }

  std::string path_, line_;
  std::unique_ptr<FILE, Close> file_;
};

}  // namespace culvert::replay

#include "logging/radius/import.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <system_error>
#include <utility>

#include "logging/radius/reading.h"

namespace culvert::logging::radius {
namespace {

namespace fs = std::filesystem;

struct DetailFile {
  fs::path path;
  bool named = false;  ///< by the user, not found in a directory
  uint64_t size = 0;
};

/// Those in a directory, and in the directories there; hidden ones are left out.
void add_files_in(const fs::path& directory, std::vector<DetailFile>& files,
                  std::vector<std::string>& failed) {
  std::error_code error, ignored;
  for (auto i = fs::directory_iterator(directory, error); !error && i != fs::directory_iterator();
       i.increment(error)) {
    if (i->path().filename().string().starts_with('.')) continue;
    if (i->is_directory(ignored) && !i->is_symlink(ignored))
      add_files_in(i->path(), files, failed);
    else if (i->is_regular_file(ignored))
      files.push_back({i->path()});
  }
  if (error) failed.push_back(fmt::format("{}: {}", directory.string(), error.message()));
}

/// The files that these names stand for, by name. Directories that cannot be read are `failed`.
std::vector<DetailFile> files_of(const std::vector<fs::path>& paths, std::vector<std::string>& failed) {
  std::vector<DetailFile> files;
  for (const fs::path& path : paths) {
    std::error_code ignored;
    if (fs::is_directory(path, ignored))
      add_files_in(path, files, failed);
    else
      files.push_back({path, true});
  }
  const auto before = [](const DetailFile& a, const DetailFile& b) { return a.path < b.path; };
  const auto same = [](const DetailFile& a, const DetailFile& b) { return a.path == b.path; };
  std::stable_sort(files.begin(), files.end(), before);
  files.erase(std::unique(files.begin(), files.end(), same), files.end());
  for (DetailFile& file : files) {
    std::error_code missing;
    file.size = fs::file_size(file.path, missing);
    if (missing) file.size = 0;
  }
  return files;
}

void add_first(std::string& first, const fs::path& path, uint64_t count, uint64_t line, const char* why) {
  if (count == 0 || !first.empty()) return;
  first =
      fmt::format("{}:{}{}{}", path.string(), line, why == nullptr ? "" : ": ", why == nullptr ? "" : why);
}

void add_reading(ImportReport& report, const FileReading& reading, const fs::path& path) {
  (reading.unchanged ? report.unchanged : report.files)++;
  if (reading.unfinished != 0) report.unfinished++;
  const Tally& t = reading.tally;
  add_first(report.first_wrong, path, t.wrong, t.wrong_line, t.wrong_why);
  add_first(report.first_unknown_zone, path, t.unknown_zone, t.unknown_zone_line, nullptr);
  add_first(report.first_wild_clock, path, t.wild_clock, t.wild_clock_line, nullptr);
  report.tally.records += t.records;
  report.tally.not_accounting += t.not_accounting;
  report.tally.wrong += t.wrong;
  report.tally.unknown_zone += t.unknown_zone;
  report.tally.wild_clock += t.wild_clock;
}

void read_files(const std::vector<fs::path>& paths, SourceBook& book, Builder& builder,
                const Progress& progress, ImportReport& report) {
  const std::vector<DetailFile> files = files_of(paths, report.failed);
  uint64_t total = 0, done = 0;
  for (const DetailFile& file : files) total += file.size;
  for (const DetailFile& file : files) {
    try {
      const auto on_bytes = [&](uint64_t of_this) {
        if (progress) progress("reading", done + of_this, total);
      };
      add_reading(report,
                  read_new(file.path, book, [&](const Record& r) { builder.add(r); }, on_bytes), file.path);
    } catch (const std::system_error& e) {
      // Rotated away since the directory was read: the next import finds it by its new name.
      if (file.named || e.code() != std::errc::no_such_file_or_directory)
        report.failed.emplace_back(e.what());
    } catch (const std::runtime_error& e) {
      report.failed.emplace_back(e.what());
    }
    done += file.size;
  }
}

/// Held while an index is replaced.
class ImportLock {
 public:
  explicit ImportLock(const fs::path& index) {
    const std::string path = index.string() + ".lock";
    fd_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd_ < 0) throw std::system_error(errno, std::generic_category(), path + ": cannot be made");
    if (flock(fd_, LOCK_EX | LOCK_NB) == 0) return;
    close(fd_);
    throw std::runtime_error(path + ": another import is at work; try again when it is done");
  }
  ~ImportLock() { close(fd_); }
  ImportLock(const ImportLock&) = delete;
  ImportLock& operator=(const ImportLock&) = delete;

 private:
  int fd_ = -1;
};

void add_result(ImportReport& report, const Builder::Result& result) {
  report.sessions = result.sessions;
  report.forgotten = result.forgotten;
  report.covered = result.covered;
  report.written = true;
}

constexpr uint64_t kNanoseconds = 1'000'000'000;

}  // namespace

ImportReport import_files(const fs::path& index, const std::vector<fs::path>& paths, BuildOptions options) {
  ImportReport report;
  options.scratch = index.has_parent_path() ? index.parent_path() : fs::path(".");
  const ImportLock lock(index);
  std::optional<Index> old;
  if (fs::exists(index)) old.emplace(File::open(index));
  SourceBook book(old ? old->sources() : std::vector<Source>());
  Builder builder(options);
  read_files(paths, book, builder, options.progress, report);
  if (old && report.files == 0 && options.forget_before == 0 && options.forget_silent_before == 0) {
    report.sessions = old->header().sessions;
    report.covered = old->header().covered;
    return report;
  }
  fs::path unfinished = index;
  unfinished += ".new";
  try {
    File file = File::create(unfinished);
    const uint64_t before = std::min(options.forget_before, kMaxSeconds) * kNanoseconds;
    add_result(report, builder.build(old ? &*old : nullptr, book.remaining(before), file));
    file.sync();
    fs::rename(unfinished, index);
  } catch (...) {
    std::error_code ignored;
    fs::remove(unfinished, ignored);
    throw;
  }
  sync_directory(options.scratch);
  return report;
}

Index open_sessions(const std::vector<fs::path>& paths, const Progress& progress, ImportReport& report) {
  if (paths.size() == 1 && fs::is_regular_file(paths.front())) {
    File file = File::open(paths.front());
    const auto first = static_cast<size_t>(std::min<uint64_t>(file.size(), kIndexMagic.size()));
    if (file.read(0, first) == kIndexMagic) return Index(std::move(file));
  }
  BuildOptions options;
  options.scratch = fs::temp_directory_path();
  options.progress = progress;
  SourceBook book({});
  Builder builder(options);
  read_files(paths, book, builder, progress, report);
  File file = File::unnamed(options.scratch);
  add_result(report, builder.build(nullptr, {}, file));
  return Index(std::move(file));
}

}  // namespace culvert::logging::radius

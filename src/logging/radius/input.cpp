#include "logging/radius/input.h"

// zlib's input is constant then.
#define ZLIB_CONST

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace culvert::logging::radius {
namespace {

constexpr size_t kPiece = 256u << 10;

Fingerprint fingerprint_from(const struct stat& st) {
  return {
      st.st_dev, st.st_ino, static_cast<uint64_t>(st.st_size),
      static_cast<uint64_t>(st.st_mtim.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(st.st_mtim.tv_nsec)};
}

/// RFC 1952: members, one behind the other.
class Gzip : public Unpacker {
 public:
  Gzip() {
    // 15: the largest window; 16: with gzip's header and trailer.
    if (inflateInit2(&stream_, 15 + 16) != Z_OK) throw std::bad_alloc();
  }
  ~Gzip() override { inflateEnd(&stream_); }
  Gzip(const Gzip&) = delete;
  Gzip& operator=(const Gzip&) = delete;

  void unpack(std::string_view& packed, std::string& out) override {
    if (complete_ && inflateReset(&stream_) != Z_OK) throw std::runtime_error("is damaged");
    complete_ = false;
    const size_t before = out.size();
    out.resize(before + kPiece);
    stream_.next_in = reinterpret_cast<const Bytef*>(packed.data());
    stream_.avail_in = static_cast<uInt>(packed.size());
    stream_.next_out = reinterpret_cast<Bytef*>(out.data() + before);
    stream_.avail_out = static_cast<uInt>(kPiece);
    const int result = inflate(&stream_, Z_NO_FLUSH);
    packed.remove_prefix(packed.size() - stream_.avail_in);
    out.resize(before + kPiece - stream_.avail_out);
    complete_ = result == Z_STREAM_END;
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
      throw std::runtime_error("is damaged: its gzip data cannot be unpacked");
  }
  bool complete() const override { return complete_; }

 private:
  z_stream stream_{};
  bool complete_ = false;
};

/// RFC 8878: frames, one behind the other.
class Zstd : public Unpacker {
 public:
  Zstd() : stream_(ZSTD_createDStream()) {
    if (!stream_) throw std::bad_alloc();
  }
  void unpack(std::string_view& packed, std::string& out) override {
    const size_t before = out.size();
    out.resize(before + kPiece);
    ZSTD_inBuffer from{packed.data(), packed.size(), 0};
    ZSTD_outBuffer to{out.data() + before, kPiece, 0};
    const size_t left = ZSTD_decompressStream(stream_.get(), &to, &from);
    packed.remove_prefix(from.pos);
    out.resize(before + to.pos);
    complete_ = left == 0;
    if (ZSTD_isError(left) != 0)
      throw std::runtime_error(
          fmt::format("is damaged: its zstd data cannot be unpacked ({})", ZSTD_getErrorName(left)));
  }
  bool complete() const override { return complete_; }

 private:
  struct Free {
    void operator()(ZSTD_DStream* stream) const { ZSTD_freeDStream(stream); }
  };
  std::unique_ptr<ZSTD_DStream, Free> stream_;
  bool complete_ = false;
};

std::unique_ptr<Unpacker> make_unpacker(std::string_view first) {
  using namespace std::string_view_literals;
  if (first.starts_with("\x1f\x8b"sv)) return std::make_unique<Gzip>();
  if (first.starts_with("\x28\xb5\x2f\xfd"sv)) return std::make_unique<Zstd>();
  if (first.starts_with("\xfd\x37zXZ"sv))
    throw std::runtime_error("is compressed by xz: unpack it first (xz -dk), or use gzip or zstd");
  if (first.starts_with("BZh"sv))
    throw std::runtime_error("is compressed by bzip2: unpack it first (bzip2 -dk), or use gzip or zstd");
  return nullptr;
}

}  // namespace

Fingerprint fingerprint_of(const std::filesystem::path& path) {
  struct stat st{};
  if (stat(path.c_str(), &st) != 0)
    throw std::system_error(errno, std::generic_category(),
                            fmt::format("{}: cannot be opened", path.string()));
  return fingerprint_from(st);
}

Input::Input(const std::filesystem::path& path) : file_(File::open(path)) {
  struct stat st{};
  if (fstat(file_.descriptor(), &st) != 0) file_.fail("cannot be looked at");
  fingerprint_ = fingerprint_from(st);
  left_ = read_raw();
  try {
    unpacker_ = make_unpacker(left_);
  } catch (const std::runtime_error& e) {
    throw std::runtime_error(fmt::format("{}: {}", path.string(), e.what()));
  }
}

std::string_view Input::read_raw() {
  raw_.resize(kPiece);
  ssize_t n = 0;
  do {
    n = ::read(file_.descriptor(), raw_.data(), raw_.size());
  } while (n < 0 && errno == EINTR);
  if (n < 0) file_.fail("cannot be read");
  position_ += static_cast<uint64_t>(n);
  return std::string_view(raw_).substr(0, static_cast<size_t>(n));
}

std::string_view Input::read() {
  return pending_.empty() ? read_piece() : std::exchange(pending_, std::string_view());
}

std::string Input::take(size_t bytes) {
  std::string out;
  while (out.size() < bytes) {
    const std::string_view piece = read();
    if (piece.empty()) break;
    const size_t taken = std::min(piece.size(), bytes - out.size());
    out.append(piece.substr(0, taken));
    pending_ = piece.substr(taken);
  }
  return out;
}

bool Input::skip(uint64_t bytes) {
  while (bytes != 0) {
    const std::string_view piece = read();
    if (piece.empty()) return false;
    const auto skipped = static_cast<size_t>(std::min<uint64_t>(piece.size(), bytes));
    pending_ = piece.substr(skipped);
    bytes -= skipped;
    if (unpacker_ || bytes == 0 || file_.size() < position_ + bytes) continue;
    if (lseek(file_.descriptor(), static_cast<off_t>(bytes), SEEK_CUR) < 0) file_.fail("cannot be read");
    position_ += bytes;
    bytes = 0;
  }
  return true;
}

std::string_view Input::read_piece() {
  if (left_.empty()) left_ = read_raw();
  if (!unpacker_) return std::exchange(left_, std::string_view());
  content_.clear();
  try {
    for (;;) {
      const bool end = left_.empty();
      if (end && unpacker_->complete()) return {};
      unpacker_->unpack(left_, content_);
      if (!content_.empty()) return content_;
      if (end) throw std::runtime_error("is cut off within its compressed data");
      if (left_.empty()) left_ = read_raw();
    }
  } catch (const std::system_error&) {
    throw;
  } catch (const std::runtime_error& e) {
    throw std::runtime_error(fmt::format("{}: {}", file_.path().string(), e.what()));
  }
}

}  // namespace culvert::logging::radius

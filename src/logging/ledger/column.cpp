#include "logging/ledger/column.h"

#include <zstd.h>

#include <bit>
#include <new>

namespace culvert::logging::ledger {
namespace {

constexpr int kLevel = 3;

}  // namespace

void ColumnPacker::Free::operator()(ZSTD_CCtx_s* context) const { ZSTD_freeCCtx(context); }

ColumnPacker::ColumnPacker() : context_(ZSTD_createCCtx()) {
  if (context_ == nullptr) throw std::bad_alloc();
}

void ColumnPacker::column(std::string& out, const std::vector<uint64_t>& numbers) {
  uint64_t all = 0;
  for (const uint64_t n : numbers) all |= n;
  const int width = (std::bit_width(all) + 7) / 8;
  ByteWriter(out).byte(static_cast<uint8_t>(width));
  plane_.resize(numbers.size());
  for (int i = 0; i < width; i++) {
    for (size_t k = 0; k < numbers.size(); k++) plane_[k] = static_cast<char>(numbers[k] >> (8 * i));
    plane(out, plane_);
  }
}

void ColumnPacker::plane(std::string& out, std::string_view bytes) {
  packed_.resize(ZSTD_compressBound(bytes.size()));
  const size_t size =
      ZSTD_compressCCtx(context_.get(), packed_.data(), packed_.size(), bytes.data(), bytes.size(), kLevel);
  if (ZSTD_isError(size)) throw std::bad_alloc();  // there is room enough, so it is memory
  ByteWriter(out).text(size < bytes.size() ? std::string_view(packed_).substr(0, size) : bytes);
}

void ColumnUnpacker::Free::operator()(ZSTD_DCtx_s* context) const { ZSTD_freeDCtx(context); }

ColumnUnpacker::ColumnUnpacker() : context_(ZSTD_createDCtx()) {
  if (context_ == nullptr) throw std::bad_alloc();
}

std::vector<uint64_t> ColumnUnpacker::column(ByteReader& in, size_t n) {
  std::vector<uint64_t> numbers(n);
  const uint8_t width = in.byte();
  if (width > sizeof(uint64_t)) in.fail();
  for (unsigned i = 0; i < width && in.good(); i++) {
    const std::string_view bytes = plane(in, n);
    for (size_t k = 0; k < bytes.size(); k++)
      numbers[k] |= uint64_t{static_cast<uint8_t>(bytes[k])} << (8 * i);
  }
  return numbers;
}

std::string_view ColumnUnpacker::plane(ByteReader& in, size_t n) {
  const std::string_view packed = in.text();
  if (packed.size() == n) return packed;
  const auto refuse = [&] { return in.fail(), std::string_view(); };
  // What a frame says of its size is checked before any memory is taken for it.
  if (ZSTD_getFrameContentSize(packed.data(), packed.size()) != n ||
      ZSTD_findFrameCompressedSize(packed.data(), packed.size()) != packed.size())
    return refuse();
  plane_.resize(n);
  if (ZSTD_decompressDCtx(context_.get(), plane_.data(), n, packed.data(), packed.size()) != n)
    return refuse();
  return plane_;
}

}  // namespace culvert::logging::ledger

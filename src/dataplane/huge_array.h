/// Memory of the tables: taken once at start, zeroed, on huge pages when the kernel has some reserved and on
/// transparent ones otherwise. Outside DPDK's heap, so that replay and tests need neither EAL nor root.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

namespace culvert::dataplane {

/// How a mapping was got, for the start-up message.
enum class PageKind : uint8_t { huge, transparent };

/// What a request of `bytes` takes: whole pages, huge ones if it fills one.
constexpr size_t whole_pages(size_t bytes) {
  const size_t page = bytes >= size_t{2} << 20 ? size_t{2} << 20 : 4096;
  return (bytes + page - 1) & ~(page - 1);
}
/// Takes `bytes` of zeroed memory, aligned to a page. Throws std::bad_alloc with errno kept when there is
/// none.
void* take_pages(size_t bytes, PageKind* kind = nullptr);
void give_pages(void* p, size_t bytes);
/// From now on pages are touched when they are taken, so that neither the first packets nor the out-of-memory
/// killer meet untouched ones later. The appliance wants that; replay and tests rather start at once.
void populate_pages(bool populate);
/// Bytes taken by take_pages() so far by this process and not given back.
size_t pages_in_use();

/// A fixed array of zero-initialised records that need no destructor. Owner: whoever holds it; no thread of
/// its own.
template <typename T>
class HugeArray {
  static_assert(std::is_trivially_destructible_v<T>);

 public:
  HugeArray() = default;
  explicit HugeArray(size_t size)
      : data_(size == 0 ? nullptr : static_cast<T*>(take_pages(size * sizeof(T)))), size_(size) {}
  HugeArray(HugeArray&& o) noexcept
      : data_(std::exchange(o.data_, nullptr)), size_(std::exchange(o.size_, 0)) {}
  HugeArray& operator=(HugeArray&& o) noexcept {
    std::swap(data_, o.data_);
    std::swap(size_, o.size_);
    return *this;
  }
  ~HugeArray() {
    if (data_ != nullptr) give_pages(data_, size_ * sizeof(T));
  }

  T& operator[](size_t i) { return data_[i]; }
  const T& operator[](size_t i) const { return data_[i]; }
  size_t size() const { return size_; }
  T* begin() { return data_; }
  T* end() { return data_ + size_; }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + size_; }

 private:
  T* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace culvert::dataplane

#include "dataplane/huge_array.h"

#include <sys/mman.h>

#include <atomic>
#include <cerrno>
#include <new>

namespace culvert::dataplane {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;
std::atomic<size_t> in_use{0};
std::atomic<bool> populated{false};

}  // namespace

void* take_pages(size_t bytes, PageKind* kind) {
  bytes = whole_pages(bytes);
  constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS;
  void* p = MAP_FAILED;
  PageKind got = PageKind::huge;
  if (bytes >= kHugePage)
    p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, kFlags | MAP_HUGETLB | MAP_POPULATE, -1, 0);
  if (p == MAP_FAILED) {
    got = PageKind::transparent;
    p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, kFlags, -1, 0);
    if (p == MAP_FAILED) throw std::bad_alloc();
    madvise(p, bytes, MADV_HUGEPAGE);
    if (populated && madvise(p, bytes, MADV_POPULATE_WRITE) != 0 && errno == ENOMEM) {
      munmap(p, bytes);
      throw std::bad_alloc();
    }
  }
  if (kind != nullptr) *kind = got;
  in_use += bytes;
  return p;
}

void give_pages(void* p, size_t bytes) {
  munmap(p, whole_pages(bytes));
  in_use -= whole_pages(bytes);
}

void populate_pages(bool populate) { populated = populate; }

size_t pages_in_use() { return in_use; }

}  // namespace culvert::dataplane

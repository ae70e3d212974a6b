/// What a fuzzer's input is read with: bytes, taken from the front; zeros when there are no more.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "frames.h"

namespace culvert::fuzz {

class Input {
 public:
  Input(const uint8_t* data, size_t size) : data_(data), left_(size) {}
  bool empty() const { return left_ == 0; }
  uint8_t byte() {
    if (left_ == 0) return 0;
    left_--;
    return *data_++;
  }
  uint16_t word() {
    const uint8_t high = byte();
    return static_cast<uint16_t>(high << 8 | byte());
  }
  Bytes bytes(size_t n) {
    n = std::min(n, left_);
    Bytes b(data_, data_ + n);
    data_ += n;
    left_ -= n;
    return b;
  }

 private:
  const uint8_t* data_;
  size_t left_;
};

/// A well mixed number for every `n`: what the fuzzer chose one byte for.
constexpr uint64_t mixed(uint64_t n) {
  n += 0x9e3779b97f4a7c15;
  n = (n ^ (n >> 30)) * 0xbf58476d1ce4e5b9;
  n = (n ^ (n >> 27)) * 0x94d049bb133111eb;
  return n ^ (n >> 31);
}

}  // namespace culvert::fuzz

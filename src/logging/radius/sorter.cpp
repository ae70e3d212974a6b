#include "logging/radius/sorter.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "logging/radius/packed.h"

namespace culvert::logging::radius {
namespace {

/// Bytes of items in a block before they are packed; one item may make it longer.
constexpr size_t kRunBlock = 256u << 10;
/// Before each block: bytes of the frame, bytes of the items.
constexpr size_t kRunHeader = 8;

}  // namespace

Sorter::Sorter(std::filesystem::path directory, size_t memory)
    : directory_(std::move(directory)), memory_(memory) {}

void Sorter::add(std::string_view item) {
  if (!slots_.empty() && gathered_.size() + item.size() + 32 * slots_.size() > memory_) write_run();
  slots_.push_back({gathered_.size(), item.size()});
  gathered_.append(item);
  items_++;
}

void Sorter::sort_gathered() {
  const std::string_view all = gathered_;
  std::sort(slots_.begin(), slots_.end(), [all](const Slot& a, const Slot& b) {
    return all.substr(a.offset, a.bytes) < all.substr(b.offset, b.bytes);
  });
}

void Sorter::write_run() {
  sort_gathered();
  if (!file_) file_ = File::unnamed(directory_);
  Run run;
  run.at = file_bytes_;
  std::string block;
  const auto write_block = [&] {
    const std::string frame = pack(block, 1);
    std::string header;
    ledger::ByteWriter out(header);
    out.fixed(static_cast<uint32_t>(frame.size()));
    out.fixed(static_cast<uint32_t>(block.size()));
    file_->write(file_bytes_, header + frame);
    file_bytes_ += kRunHeader + frame.size();
    block.clear();
  };
  for (const Slot& slot : slots_) {
    ledger::ByteWriter(block).text(std::string_view(gathered_).substr(slot.offset, slot.bytes));
    if (block.size() >= kRunBlock) write_block();
  }
  if (!block.empty()) write_block();
  run.end = file_bytes_;
  runs_.push_back(std::move(run));
  gathered_.clear();
  slots_.clear();
}

bool Sorter::advance(Run& run) {
  if (run.left.done()) {
    if (run.at == run.end) return false;
    const std::string header = file_->read(run.at, kRunHeader);
    ledger::ByteReader in(header);
    const auto frame = in.fixed<uint32_t>();
    const auto bytes = in.fixed<uint32_t>();
    auto block = unpack(file_->read(run.at + kRunHeader, frame), bytes);
    if (!block) throw std::runtime_error(file_->path().string() + ": is damaged");
    run.block = std::move(*block);
    run.left = ledger::ByteReader(run.block);
    run.at += kRunHeader + frame;
  }
  run.item = run.left.text();
  return true;
}

void Sorter::sort() {
  if (runs_.empty()) return sort_gathered();
  if (!slots_.empty()) write_run();
  gathered_.shrink_to_fit();
  slots_.shrink_to_fit();
  for (size_t i = 0; i < runs_.size(); i++)
    if (advance(runs_[i])) heap_.push_back(i);
  std::make_heap(heap_.begin(), heap_.end(),
                 [this](size_t a, size_t b) { return runs_[a].item > runs_[b].item; });
}

std::optional<std::string_view> Sorter::next() {
  if (runs_.empty()) {
    if (next_slot_ == slots_.size()) return std::nullopt;
    const Slot& slot = slots_[next_slot_++];
    return std::string_view(gathered_).substr(slot.offset, slot.bytes);
  }
  if (heap_.empty()) return std::nullopt;
  const auto later = [this](size_t a, size_t b) { return runs_[a].item > runs_[b].item; };
  if (std::exchange(taken_, true)) {
    std::pop_heap(heap_.begin(), heap_.end(), later);
    if (advance(runs_[heap_.back()]))
      std::push_heap(heap_.begin(), heap_.end(), later);
    else
      heap_.pop_back();
  }
  if (heap_.empty()) return std::nullopt;
  return runs_[heap_.front()].item;
}

}  // namespace culvert::logging::radius

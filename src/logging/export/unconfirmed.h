/// What was sent and may not have arrived: for each batch its first event and the connection's mark behind
/// it (connection.h). After a failure the exporter goes back to the first of them.
///
/// A value; any thread.
#pragma once

#include <cstdint>
#include <deque>

namespace culvert::logging {

class Unconfirmed {
 public:
  /// A batch was sent that begins with the event `first`; `mark` is what was sent with it. Both rise.
  void sent(uint64_t first, uint64_t mark) { batches_.push_back({first, mark}); }
  /// What was sent up to this mark is taken as arrived.
  void arrived(uint64_t mark) {
    while (!batches_.empty() && batches_.front().mark <= mark) batches_.pop_front();
  }
  /// All events below have arrived. `next`: the first that was not sent.
  uint64_t safe(uint64_t next) const { return batches_.empty() ? next : batches_.front().first; }
  void clear() { batches_.clear(); }
  size_t batches() const { return batches_.size(); }

 private:
  struct Batch {
    uint64_t first, mark;
  };
  std::deque<Batch> batches_;
};

}  // namespace culvert::logging

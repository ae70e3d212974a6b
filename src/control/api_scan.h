/// A scan: an answer that goes over the records of every worker, a chunk at a time. The chunk is copied in
/// the worker's thread by an errand (copy()), which looks at some thousand records and takes no more than a
/// few hundred rows; the rows become text on the control core (format()). So a listing of a million mappings
/// never stops a worker for longer than some ten microseconds.
///
/// Records come and go while the scan goes on: a mapping that lives throughout is listed exactly once, one
/// that comes or goes meanwhile may or may not be.
#pragma once

#include <vector>

#include "control/api_answer.h"

namespace culvert::control {

/// Where a worker's scan stands.
struct ScanPosition {
  uint32_t table = 0;  ///< pool slot, for blocks
  uint32_t record = 0;
  bool end = false;
};

template <typename Row>
class Scan : public Answer {
 public:
  /// Records looked at, and rows taken, by one errand.
  static constexpr uint32_t kRecords = 1024, kRows = 256;

  Scan(const ApiRequest& request, ApiContext& context)
      : filter_(request.filter), context_(context), limit_(request.limit) {
    rows_.reserve(kRows);
  }

  Step step(std::string& out) final {
    if (arrived_) {
      arrived_ = false;
      for (const Row& row : rows_) {
        if (limit_ != 0 && listed_ == limit_) break;
        format(row, out);
        listed_++;
      }
      if (position_.end || (limit_ != 0 && listed_ == limit_)) {
        position_ = {};
        worker_++;
      }
    }
    if (worker_ == context_.engine().workers() || (limit_ != 0 && listed_ == limit_)) {
      finish(out, listed_);
      return Step::done;
    }
    rows_.clear();
    const auto self = std::static_pointer_cast<Scan>(shared_from_this());
    context_.errands.send(
        context_.engine().worker(worker_),
        [self](dataplane::Worker& w, const dataplane::Tables& tables, Millis now) {
          self->now_ = now;
          self->copy(w, tables, now, self->position_, self->rows_);
        },
        [self] {
          self->arrived_ = true;
          if (self->wake) self->wake();
        });
    return Step::waiting;
  }

 protected:
  /// Worker's thread: appends at most kRows rows (there is room) and moves the position on.
  virtual void copy(dataplane::Worker& w, const dataplane::Tables& tables, Millis now, ScanPosition& position,
                    std::vector<Row>& rows) = 0;
  /// Control core: one row as a line.
  virtual void format(const Row& row, std::string& out) = 0;
  /// Control core: what ends the answer.
  virtual void finish(std::string& out, uint64_t rows) { append_end(out, rows); }

  const dataplane::InstanceView& instance(uint8_t slot) const {
    return context_.engine().tables().instances[slot];
  }
  /// Worker's thread: whether a record of this instance is wanted.
  bool takes_instance(const dataplane::Tables& tables, uint8_t slot) const {
    return !filter_.instance || tables.instances[slot].name == *filter_.instance;
  }

  const RowFilter filter_;
  ApiContext& context_;
  Millis now_ = 0;  ///< the worker's time when the chunk was copied

 private:
  const uint64_t limit_;
  uint64_t listed_ = 0;
  unsigned worker_ = 0;
  ScanPosition position_;
  std::vector<Row> rows_;
  bool arrived_ = false;
};

}  // namespace culvert::control

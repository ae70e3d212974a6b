/// The two sides' captures as one stream in order of time: what the appliance would have seen arrive.
///
/// Stable: frames of one side keep their order, and where both sides have a frame at the same nanosecond the
/// inside one comes first, so that a request and its answer with equal (coarse) timestamps arrive in that
/// order. Because readers never let time run backwards, neither does the merged stream.
#pragma once

#include <optional>

#include "replay/capture_reader.h"

namespace culvert::replay {

/// Merges one or two captures. Either may be absent.
class FrameMerger {
 public:
  /// Takes the readers over. Reads nothing yet.
  FrameMerger(std::optional<CaptureReader> inside, std::optional<CaptureReader> outside);

  /// The next frame of both, or nothing when both have ended; its bytes are valid until the next call. Throws
  /// CaptureError as the readers do.
  std::optional<Frame> next();

  /// The reader of a side, for its counters; null where there is none.
  const CaptureReader* reader(Side side) const;

 private:
  /// A reader and the frame it is waiting to give. The frame's bytes live in the reader's buffer, so the
  /// reader is moved on only when the merger is called again.
  struct Source {
    std::optional<CaptureReader> reader;
    std::optional<Frame> head;
    bool spent = true;  ///< the head has been given away: read on before the next comparison

    void advance();
  };
  Source inside_;
  Source outside_;
};

}  // namespace culvert::replay

/// An answer in the making. The server asks it for more whenever the client has taken what was there, so that
/// a slow reader pauses the listing and costs a bounded buffer, whatever its length.
///
/// Thread: the control core; only tasks it sends out (api_errand.h) run in workers.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "control/api_census.h"
#include "control/api_errand.h"
#include "control/api_request.h"
#include "control/api_source.h"

namespace culvert::control {

/// What answers are made from.
struct ApiContext {
  ApiSource source;
  Errands& errands;
  PoolCensus& census;
  double packets_per_second = 0;  ///< translated, over the last second
  std::vector<double> worker_packets_per_second,
      worker_load;  ///< load: part of device polls that found packets

  Engine& engine() const { return *source.engine; }
};

class Answer : public std::enable_shared_from_this<Answer> {
 public:
  virtual ~Answer() = default;

  enum class Step {
    more,     ///< call again
    waiting,  ///< call again after `wake` was called
    done,     ///< the last line is in `out`
  };
  /// Appends whole lines to `out`, some tens of kilobytes at most. Never blocks.
  virtual Step step(std::string& out) = 0;

  /// Set by the server; called on the control core.
  std::function<void()> wake;
};

/// `{"end":true,"rows":N}`
void append_end(std::string& out, uint64_t rows);
/// `{"error":"…"}`; `usage`: the request itself was wrong.
void append_error(std::string& out, std::string_view message, bool usage = false);

/// The answer to a request. `context` outlives it.
std::shared_ptr<Answer> make_answer(const ApiRequest& request, ApiContext& context);

// Its parts: each gives null for a command that is another's.
std::shared_ptr<Answer> make_report(const ApiRequest& request, ApiContext& context);   // api_report.cpp
std::shared_ptr<Answer> make_listing(const ApiRequest& request, ApiContext& context);  // api_listing.cpp
std::shared_ptr<Answer> make_clear(const ApiRequest& request, ApiContext& context);    // api_clear.cpp

}  // namespace culvert::control

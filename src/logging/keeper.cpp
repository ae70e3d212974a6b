#include "logging/keeper.h"

#include <fmt/format.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <stdexcept>
#include <utility>

#include "logging/ledger/sealing.h"

namespace culvert::logging {

namespace {

constexpr std::chrono::minutes kRemoveEvery{10};

}  // namespace

Keeper::Keeper(Setup setup)
    : setup_(std::move(setup)), retention_(setup_.retention), thread_([this] { run(); }) {}

Keeper::~Keeper() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void Keeper::keep(const ledger::Retention& retention) {
  {
    const std::lock_guard lock(mutex_);
    if (retention_ == retention) return;
    retention_ = retention;
    changed_ = true;
  }
  wake_.notify_one();
}

bool Keeper::stopping() {
  const std::lock_guard lock(mutex_);
  return stop_;
}

void Keeper::run() {
  const sched_param none{};
  sched_setscheduler(0, SCHED_IDLE, &none);  // of this thread; where that is forbidden it is only politeness
  for (;;) {
    try {
      turn();
      last_complaint_.clear();
    } catch (const std::exception& e) {
      stats_.errors++;
      if (e.what() != last_complaint_) setup_.complain(fmt::format("{}; it is tried again", e.what()));
      last_complaint_ = e.what();
    }
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, setup_.look_every, [this] { return stop_ || changed_; });
    if (stop_) return;
    if (std::exchange(changed_, false)) removed_.reset();
  }
}

void Keeper::turn() {
  // Looking through a large archive costs some reads: nothing gets old in minutes.
  const bool due = !removed_ || std::chrono::steady_clock::now() - *removed_ > kRemoveEvery;
  if (due) remove_old();  // first: a disk that is full has no room to seal
  if (seal()) remove_old();
}

/// Seals all live segments but the last one, which is being written. Whether there was one.
bool Keeper::seal() {
  bool any = false;
  for (const std::filesystem::path& live : ledger::unsealed(setup_.directory, false)) {
    if (stopping()) return any;
    std::string error;
    const auto note = [&](const ledger::SegmentNote& segment) {
      error = setup_.note(ledger::Type::sealed, segment);
      return error.empty();
    };
    if (!ledger::seal_one(live, note, setup_.complain) && !error.empty()) throw std::runtime_error(error);
    stats_.sealed++;
    any = true;
  }
  return any;
}

/// Removes what retention does not want. What goes is on record before it is gone.
void Keeper::remove_old() {
  ledger::Retention wanted;
  {
    const std::lock_guard lock(mutex_);
    wanted = retention_;
  }
  if (wanted.age_ms == 0 && wanted.bytes == 0) return;
  for (const ledger::Retired& segment : ledger::to_retire(setup_.directory, wanted, setup_.clock())) {
    if (stopping()) return;
    if (const std::string error = setup_.note(ledger::Type::retired, segment.note); !error.empty())
      throw std::runtime_error(error);
    ledger::retire(segment);
    stats_.retired++;
  }
  removed_ = std::chrono::steady_clock::now();
}

}  // namespace culvert::logging

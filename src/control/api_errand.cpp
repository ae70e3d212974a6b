#include "control/api_errand.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace culvert::control {

struct Errands::Errand {
  dataplane::Worker::Task work;
  std::function<void()> done;
  std::shared_ptr<Errand> self;  ///< keeps it alive on the way back
  Errand* next = nullptr;
};

/// What outlives the Errands when a worker still has one of them.
struct Errands::Shared {
  int wake = -1;
  std::atomic<Errand*> finished{nullptr};

  ~Shared() {
    for (Errand* e = finished.exchange(nullptr); e != nullptr;) {
      Errand* next = e->next;
      std::exchange(e->self, nullptr).reset();
      e = next;
    }
    if (wake >= 0) close(wake);
  }
  /// Worker's thread.
  void push(Errand* e) {
    Errand* head = finished.load(std::memory_order_relaxed);
    do {
      e->next = head;
    } while (!finished.compare_exchange_weak(head, e, std::memory_order_release, std::memory_order_relaxed));
    if (head != nullptr) return;  // somebody rang before us and was not heard yet
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t n =
        write(wake, &one, sizeof one);  // fails only when it is rung 2^64 times
  }
};

Errands::Errands(EventLoop& loop) : loop_(loop), shared_(std::make_shared<Shared>()) {
  shared_->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (shared_->wake < 0) throw std::system_error(errno, std::generic_category(), "control socket: eventfd");
  loop_.watch(shared_->wake, EPOLLIN, [this](uint32_t) { come_back(); });
}

Errands::~Errands() { loop_.forget(shared_->wake); }

void Errands::send(dataplane::Worker& worker, dataplane::Worker::Task work, std::function<void()> done) {
  auto errand = std::make_shared<Errand>();
  errand->work = std::move(work);
  errand->done = std::move(done);
  worker.post([shared = shared_, errand](dataplane::Worker& w, const dataplane::Tables& tables,
                                         dataplane::Millis now) {
    errand->work(w, tables, now);
    errand->self = errand;
    shared->push(errand.get());
  });
}

void Errands::come_back() {
  uint64_t rings = 0;
  [[maybe_unused]] const ssize_t n = read(shared_->wake, &rings, sizeof rings);
  Errand* newest = shared_->finished.exchange(nullptr, std::memory_order_acquire);
  Errand* oldest = nullptr;
  while (newest != nullptr) oldest = std::exchange(newest, std::exchange(newest->next, oldest));
  while (oldest != nullptr) {
    const std::shared_ptr<Errand> errand = std::exchange(oldest->self, nullptr);
    oldest = errand->next;
    errand->done();
  }
}

}  // namespace culvert::control

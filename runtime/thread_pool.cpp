#include "runtime/thread_pool.hpp"

namespace vitrail {
namespace {

// A worker spins this often before it sleeps: some tens of microseconds, longer than the gap between two jobs of one
// network.
constexpr int spins_before_sleep = 2000;

}  // namespace

ThreadPool::ThreadPool(int threads) {
  workers_.reserve(static_cast<std::size_t>(threads - 1));
  try {
    for (int t = 1; t < threads; ++t) workers_.emplace_back([this, t] { work(t); });
  } catch (...) {
    stop_ = true;
    epoch_ += 2;
    epoch_.notify_all();
    for (auto& worker : workers_) worker.join();
    throw;
  }
}

ThreadPool::~ThreadPool() {
  stop_ = true;
  epoch_ += 2;
  epoch_.notify_all();
  for (auto& worker : workers_) worker.join();
}

void ThreadPool::claim(int thread) noexcept {
  for (int i; (i = next_.fetch_add(1, std::memory_order_relaxed)) < count_;) task_(context_, i, thread);
}

void ThreadPool::run(int count, Task task, const void* context) noexcept {
  if (workers_.empty() || count == 1) {
    for (int i = 0; i < count; ++i) task(context, i, 0);
    return;
  }
  task_ = task;
  context_ = context;
  count_ = count;
  next_.store(0, std::memory_order_relaxed);
  epoch_.fetch_add(1);  // opens the job
  if (parked_.load() > 0) epoch_.notify_all();
  claim(0);
  epoch_.fetch_add(1);  // closes it: who comes later does not look
  spin_until([this] { return inside_.load() == 0; });
}

void ThreadPool::work(int thread) noexcept {
  std::uint32_t seen = 0;
  while (!stop_.load()) {
    for (int spins = 0; epoch_.load() == seen; ++spins) {
      if (spins < spins_before_sleep) {
        spin_pause();
        continue;
      }
      ++parked_;
      epoch_.wait(seen);
      --parked_;
    }
    // Enter first, look second; run() closes first, looks second: so one of the two sees the other.
    ++inside_;
    seen = epoch_.load();
    if (seen % 2 == 1) {
      claim(thread);
      --inside_;
    } else {
      --inside_;
    }
  }
}

}  // namespace vitrail

// The session's own threads. A job is `count` tasks claimed one by one, so a slow core takes fewer of them; a thread
// that wakes too late finds nothing left and delays nobody.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "vitrail/executor.hpp"

namespace vitrail {

class ThreadPool final : public Executor {
 public:
  /// `threads` ≥ 1 counts the caller: threads − 1 workers are started. Throws std::system_error when that fails.
  explicit ThreadPool(int threads);
  ~ThreadPool() override;
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const noexcept override { return static_cast<int>(workers_.size()) + 1; }

  /// On this thread (0) and the workers (1 … threads() − 1). Does not allocate. One job at a time.
  void run(int count, Task task, const void* context) noexcept override;

 private:
  void work(int thread) noexcept;
  void claim(int thread) noexcept;

  // The job; written only while no worker is inside.
  Task task_ = nullptr;
  const void* context_ = nullptr;
  int count_ = 0;

  // One cache line each: they are written by different threads.
  alignas(64) std::atomic<int> next_{0};             ///< the first task nobody has claimed
  alignas(64) std::atomic<int> inside_{0};           ///< workers that may be looking at the job
  alignas(64) std::atomic<std::uint32_t> epoch_{0};  ///< odd while a job is open
  alignas(64) std::atomic<int> parked_{0};           ///< workers asleep
  std::atomic<bool> stop_{false};
  std::vector<std::thread> workers_;
};

/// Calls task(index, thread) for every index in [0, count), on the executor's threads.
template <class Function>
void run(Executor& executor, int count, const Function& task) noexcept {
  executor.run(
      count,
      [](const void* context, int index, int thread) { (*static_cast<const Function*>(context))(index, thread); },
      &task);
}

/// Tells the core that this is a spin loop; implemented by platforms/.
void spin_pause() noexcept;

/// Waits for another thread's last steps, and after a while lets others have this core (more threads than cores).
template <class Condition>
void spin_until(const Condition& condition) noexcept {
  constexpr int spins_before_yield = 200;
  for (int spins = 0; !condition(); ++spins) {
    if (spins < spins_before_yield)
      spin_pause();
    else
      std::this_thread::yield();
  }
}

}  // namespace vitrail

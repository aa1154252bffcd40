// The session's own threads. A job is `count` tasks claimed one by one, so a slow core takes fewer of them; a thread
// that wakes too late finds nothing left and delays nobody.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace vitrail {

class ThreadPool {
 public:
  /// `threads` ≥ 1 counts the caller: threads − 1 workers are started. Throws std::system_error when that fails.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const noexcept { return static_cast<int>(workers_.size()) + 1; }

  /// Calls task(index, thread) for every index in [0, count), on this thread (0) and the workers (1 … size() − 1), and
  /// returns when all calls have. Does not allocate. `task` must not throw. One job at a time.
  template <class Task>
  void run(int count, const Task& task) noexcept {
    run(
        count, [](const void* context, int index, int thread) { (*static_cast<const Task*>(context))(index, thread); },
        &task);
  }

 private:
  using Function = void (*)(const void* context, int index, int thread);

  void run(int count, Function function, const void* context) noexcept;
  void work(int thread) noexcept;
  void claim(int thread) noexcept;

  // The job; written only while no worker is inside.
  Function function_ = nullptr;
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

/// Tells the core that this is a spin loop; implemented by platforms/.
void spin_pause() noexcept;

}  // namespace vitrail

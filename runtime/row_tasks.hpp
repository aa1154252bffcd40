// Which thread works on which rows? As far as it keeps up always the same one on the same rows: what one operation
// leaves in a core's cache, the next one reads there.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>

#include "runtime/thread_pool.hpp"

namespace vitrail {

inline int ceil_div(int a, int b) { return (a + b - 1) / b; }

/// Rows cut into blocks. Threads have equal shares: of few rows to a unit, so that no product has a unit that is nearly
/// empty on each thread, and of many rows to a row.
class RowBlocks {
 public:
  struct Rows {
    int first, count;
    int turn, turns;  ///< the turn-th of its thread's blocks, of so many
  };

  /// @param most  rows of a block, a multiple of `unit`
  RowBlocks(int rows, int most, int unit, int threads)
      : rows_(rows), most_(most), unit_(unit), threads_(threads), step_(rows / threads < few_units * unit ? unit : 1) {}

  int count() const {
    int all = 0;
    for (int t = 0; t < threads_; ++t) all += count(t);
    return all;
  }
  int count(int thread) const { return ceil_div(share(thread), most_); }
  /// The blocks of a thread are about equal, all but its last whole units.
  Rows block(int thread, int i) const {
    const int turns = count(thread), size = ceil_div(ceil_div(share(thread), unit_), turns) * unit_;
    const int at = first(thread) + i * size;
    return {at, std::min(size, first(thread + 1) - at), i, turns};
  }

 private:
  static constexpr int few_units = 4;  // of a share
  int first(int thread) const {
    return std::min(rows_,
                    static_cast<int>(static_cast<std::int64_t>(ceil_div(rows_, step_)) * thread / threads_) * step_);
  }
  int share(int thread) const { return first(thread + 1) - first(thread); }
  int rows_, most_, unit_, threads_, step_;
};

/// Runs jobs that have some tasks per block of rows. A thread takes those of its blocks, then what a slower one has not
/// come to.
class RowTasks {
 public:
  explicit RowTasks(int threads)
      : threads_(threads), queues_(std::make_unique<Queue[]>(static_cast<std::size_t>(threads))) {}

  /// Calls task(rows, index, thread) for every block of rows and every index in [0, per_block). A thread's blocks take
  /// turns, then comes the next index: what belongs to an index is in the cache for all of them. Does not allocate. One
  /// job at a time.
  template <class Function>
  void run(Executor& executor, const RowBlocks& blocks, int per_block, const Function& task) noexcept {
    run(executor, blocks, per_block, task, 0, task);
  }

  /// The same, and then after(rows, index, thread) for every index in [0, after_per_block): as soon as all tasks of a
  /// thread's blocks are done. A job of its own would wait for those of all threads.
  template <class Function, class After>
  void run(Executor& executor, const RowBlocks& blocks, int per_block, const Function& task, int after_per_block,
           const After& after) noexcept {
    for (int q = 0; q < threads_; ++q) {
      queues_[q].next.store(0, std::memory_order_relaxed);
      queues_[q].done.store(0, std::memory_order_relaxed);
    }
    // A call takes tasks until none is left: while a thread has some of its own, it meets no other at a counter, which
    // between the cores of a server takes as long as a small task.
    vitrail::run(executor, std::min(threads_, blocks.count() * per_block), [&](int, int thread) {
      for (int turn = 0; turn < threads_; ++turn) {
        const int owner = (thread + turn) % threads_, own = blocks.count(owner);
        const int tasks = own * per_block, all = tasks + own * after_per_block;
        Queue& queue = queues_[owner];
        for (int i; (i = queue.next.fetch_add(1, std::memory_order_relaxed)) < all;) {
          if (i < tasks) {
            task(blocks.block(owner, i % own), i / own, thread);
            queue.done.fetch_add(1, std::memory_order_release);
          } else {
            // Another thread may be at a task that it took from here.
            spin_until([&] { return queue.done.load(std::memory_order_acquire) == tasks; });
            after(blocks.block(owner, (i - tasks) / after_per_block), (i - tasks) % after_per_block, thread);
          }
        }
      }
    });
  }

 private:
  struct Queue {
    alignas(64) std::atomic<int> next{0};
    std::atomic<int> done{0};  ///< tasks, not what comes after
  };
  int threads_;
  std::unique_ptr<Queue[]> queues_;  // of each thread
};

}  // namespace vitrail

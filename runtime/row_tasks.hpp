// Which thread works on which rows? Always the same one on the same rows, as far as they come out even: what one
// operation leaves in a core's cache, the next one reads there.
#pragma once

#include <algorithm>
#include <atomic>
#include <memory>

#include "runtime/thread_pool.hpp"

namespace vitrail {

inline int ceil_div(int a, int b) { return (a + b - 1) / b; }

/// Rows cut into blocks: equally many for each thread, and the rest shared in smaller ones, so that no thread waits
/// long for the last.
class RowBlocks {
 public:
  struct Rows {
    int first, count;
    int turn = 0, turns = 0;  ///< the turn-th of its thread's own blocks, of so many; a shared block: 0 of 0
  };

  /// @param block  rows of a block, a multiple of `unit`
  RowBlocks(int rows, int block, int unit, int threads) : rows_(rows), block_(block) {
    constexpr int parts = 3;  // that a block's worth of shared rows is cut into
    own_ = threads == 1 ? ceil_div(rows, block) : rows / block / threads;
    first_shared_ = std::min(rows, own_ * threads * block);
    const int rest = rows - first_shared_;
    if (rest > 0) piece_ = ceil_div(ceil_div(rest, parts * ceil_div(rest, block)), unit) * unit;
    shared_ = rest > 0 ? ceil_div(rest, piece_) : 0;
  }

  int own() const { return own_; }        ///< blocks of each thread
  int shared() const { return shared_; }  ///< blocks that whoever comes first takes
  int count(int threads) const { return own_ * threads + shared_; }
  Rows owned_by(int thread, int i) const {
    Rows rows = at((thread * own_ + i) * block_, block_);
    rows.turn = i;
    rows.turns = own_;
    return rows;
  }
  Rows shared(int i) const { return at(first_shared_ + i * piece_, piece_); }

 private:
  Rows at(int first, int count) const { return {first, std::min(count, rows_ - first)}; }
  int rows_, block_, own_, first_shared_, piece_ = 0, shared_ = 0;
};

/// Runs jobs that have some tasks per block of rows. A thread takes those of its own blocks, then of shared ones, then
/// of a slower thread's.
class RowTasks {
 public:
  explicit RowTasks(int threads)
      : threads_(threads), queues_(std::make_unique<Queue[]>(static_cast<std::size_t>(threads) + 1)) {}

  /// Calls task(rows, index, thread) for every block of rows and every index in [0, per_block). Blocks take turns, then
  /// comes the next index. Does not allocate. One job at a time.
  template <class Function>
  void run(Executor& executor, const RowBlocks& blocks, int per_block, const Function& task) noexcept {
    const int own = blocks.own() * per_block, shared = blocks.shared() * per_block;
    for (int q = 0; q <= threads_; ++q) queues_[q].next.store(0, std::memory_order_relaxed);
    // As many calls as tasks, and none takes two: each finds one, because no queue is ever filled up again.
    vitrail::run(executor, own * threads_ + shared, [&](int, int thread) {
      for (int turn = 0; turn <= threads_; ++turn) {
        const bool of_all = turn == 1;
        const int owner = turn == 0 ? thread : (thread + turn - 1) % threads_;
        std::atomic<int>& next = queues_[of_all ? threads_ : owner].next;
        const int i = next.fetch_add(1, std::memory_order_relaxed);
        if (i >= (of_all ? shared : own)) continue;
        if (of_all)
          task(blocks.shared(i % blocks.shared()), i / blocks.shared(), thread);
        else
          task(blocks.owned_by(owner, i % blocks.own()), i / blocks.own(), thread);
        return;
      }
    });
  }

 private:
  struct Queue {
    alignas(64) std::atomic<int> next{0};
  };
  int threads_;
  std::unique_ptr<Queue[]> queues_;  // of each thread, then the shared one
};

}  // namespace vitrail

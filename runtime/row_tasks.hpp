// Which thread works on which rows? As far as it keeps up always the same one on the same rows: what one operation
// leaves in a core's cache, the next one reads there.
#pragma once

#include <algorithm>
#include <atomic>
#include <memory>

#include "runtime/thread_pool.hpp"

namespace vitrail {

inline int ceil_div(int a, int b) { return (a + b - 1) / b; }

/// Rows cut into blocks: equally many for each thread, and what does not come out even in smaller pieces dealt in turn,
/// so that no thread waits long for the last.
class RowBlocks {
 public:
  struct Rows {
    int first, count;
    int turn = 0, turns = 0;  ///< the turn-th of its thread's blocks, of so many; a piece: 0 of 0
  };

  /// @param block  rows of a block, a multiple of `unit`
  RowBlocks(int rows, int block, int unit, int threads) : rows_(rows), block_(block), threads_(threads) {
    constexpr int parts = 3;  // that a block's worth of rows is cut into
    own_ = threads == 1 ? ceil_div(rows, block) : rows / block / threads;
    first_piece_ = std::min(rows, own_ * threads * block);
    const int rest = rows - first_piece_;
    if (rest > 0) piece_ = ceil_div(ceil_div(rest, parts * ceil_div(rest, block)), unit) * unit;
    pieces_ = rest > 0 ? ceil_div(rest, piece_) : 0;
  }

  int count() const { return own_ * threads_ + pieces_; }
  int own() const { return own_; }        ///< blocks of each thread
  int pieces() const { return pieces_; }  ///< of all threads
  int pieces(int thread) const { return pieces_ / threads_ + (thread < pieces_ % threads_ ? 1 : 0); }
  Rows block(int thread, int i) const {
    Rows rows = at((thread * own_ + i) * block_, block_);
    rows.turn = i;
    rows.turns = own_;
    return rows;
  }
  Rows piece(int thread, int i) const { return at(first_piece_ + (i * threads_ + thread) * piece_, piece_); }

 private:
  Rows at(int first, int count) const { return {first, std::min(count, rows_ - first)}; }
  int rows_, block_, threads_, own_, first_piece_, piece_ = 0, pieces_ = 0;
};

/// Runs jobs that have some tasks per block of rows. A thread takes those of its blocks, then of its pieces, then what
/// a slower one has not come to.
class RowTasks {
 public:
  explicit RowTasks(int threads)
      : threads_(threads), queues_(std::make_unique<Queue[]>(static_cast<std::size_t>(threads))) {}

  /// Calls task(rows, index, thread) for every block and piece of rows and every index in [0, per_block). Blocks take
  /// turns, then comes the next index. Does not allocate. One job at a time.
  template <class Function>
  void run(Executor& executor, const RowBlocks& blocks, int per_block, const Function& task) noexcept {
    for (int q = 0; q < threads_; ++q) queues_[q].next.store(0, std::memory_order_relaxed);
    const int own = blocks.own() * per_block;
    // A call takes tasks until none is left: while a thread has some of its own, it meets no other at a counter, which
    // between the cores of a server takes as long as a small task.
    vitrail::run(executor, std::min(threads_, blocks.count() * per_block), [&](int, int thread) {
      for (int turn = 0; turn < threads_; ++turn) {
        const int owner = (thread + turn) % threads_, pieces = blocks.pieces(owner);
        std::atomic<int>& next = queues_[owner].next;
        for (int i; (i = next.fetch_add(1, std::memory_order_relaxed)) < own + pieces * per_block;) {
          if (i < own)
            task(blocks.block(owner, i % blocks.own()), i / blocks.own(), thread);
          else
            task(blocks.piece(owner, (i - own) % pieces), (i - own) / pieces, thread);
        }
      }
    });
  }

 private:
  struct Queue {
    alignas(64) std::atomic<int> next{0};
  };
  int threads_;
  std::unique_ptr<Queue[]> queues_;  // of each thread
};

}  // namespace vitrail

#include "runtime/row_tasks.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <mutex>
#include <vector>

using namespace vitrail;

namespace {

/// An application's executor whose tasks all run on one of its threads.
class OnThread final : public Executor {
 public:
  OnThread(int threads, int thread) : threads_(threads), thread_(thread) {}
  int threads() const noexcept override { return threads_; }
  void run(int count, Task task, const void* context) noexcept override {
    for (int i = 0; i < count; ++i) task(context, i, thread_);
  }

 private:
  int threads_, thread_;
};

struct Call {
  int first, count, index, thread;
};

std::vector<Call> calls(Executor& executor, RowTasks& tasks, const RowBlocks& blocks, int per_block) {
  std::vector<Call> all;
  std::mutex mutex;
  tasks.run(executor, blocks, per_block, [&](RowBlocks::Rows rows, int index, int thread) {
    const std::lock_guard lock(mutex);
    all.push_back({rows.first, rows.count, index, thread});
  });
  return all;
}

/// Whether every row has every index once.
bool complete(const std::vector<Call>& all, int rows, int per_block) {
  std::vector<int> seen(static_cast<std::size_t>(rows * per_block));
  for (const Call& c : all)
    for (int r = c.first; r < c.first + c.count; ++r) ++seen.at(static_cast<std::size_t>(r * per_block + c.index));
  for (const int n : seen)
    if (n != 1) return false;
  return true;
}

}  // namespace

TEST_CASE("every row gets every task once, on any number of threads, job after job") {
  for (const int threads : {1, 2, 3, 16}) {
    ThreadPool pool(threads);
    RowTasks tasks(threads);
    for (const int rows : {1, 5, 6, 29, 42, 43, 50, 196, 197, 394, 577})
      for (const auto& [block, unit] : {std::pair{42, 6}, {48, 4}, {6, 6}, {1, 1}})
        for (const int per_block : {1, 3}) {
          CAPTURE(threads);
          CAPTURE(rows);
          CAPTURE(block);
          const RowBlocks blocks(rows, block, unit, threads);
          const auto all = calls(pool, tasks, blocks, per_block);
          CHECK(complete(all, rows, per_block));
          CHECK(all.size() == static_cast<std::size_t>(blocks.count() * per_block));
          for (const Call& c : all) {
            CHECK(c.count >= 1);
            CHECK(c.count <= block);
          }
          const int step = rows / threads < 4 * unit ? unit : 1;
          for (int t = 0; t < threads; ++t) {
            int share = 0;
            for (int i = 0; i < blocks.count(t); ++i) {
              const int count = blocks.block(t, i).count;
              if (i + 1 < blocks.count(t)) CHECK(count % unit == 0);
              share += count;
            }
            CHECK(share > rows / threads - step);
            CHECK(share < ceil_div(rows, threads) + step);
          }
        }
  }
}

TEST_CASE("what comes after the tasks of a block finds all of them done, and is done once") {
  constexpr int per_block = 5, after_per_block = 2;
  for (const int threads : {1, 2, 3, 16}) {
    ThreadPool pool(threads);
    RowTasks tasks(threads);
    for (const int rows : {1, 5, 50, 197, 577}) {
      CAPTURE(threads);
      CAPTURE(rows);
      const RowBlocks blocks(rows, 12, 6, threads);
      std::vector<std::atomic<int>> done(static_cast<std::size_t>(rows)), after(static_cast<std::size_t>(rows));
      std::atomic<int> too_early{0};
      const auto each = [](const RowBlocks::Rows& block, auto f) {
        for (int r = block.first; r < block.first + block.count; ++r) f(static_cast<std::size_t>(r));
      };
      for (int job = 1; job <= 20; ++job)
        tasks.run(
            pool, blocks, per_block,
            [&](const RowBlocks::Rows& block, int, int) { each(block, [&](std::size_t r) { ++done[r]; }); },
            after_per_block,
            [&](const RowBlocks::Rows& block, int, int) {
              each(block, [&](std::size_t r) {
                if (done[r] != job * per_block) ++too_early;
                ++after[r];
              });
            });
      CHECK(too_early == 0);
      for (const auto& count : after) CHECK(count == 20 * after_per_block);
    }
  }
}

TEST_CASE("a thread takes its blocks first, then what a thread that does nothing leaves") {
  constexpr int threads = 3, per_block = 4, rows = 420, own = 4;
  const RowBlocks blocks(rows, 42, 6, threads);
  RowTasks tasks(threads);
  for (int thread = 0; thread < threads; ++thread) {
    REQUIRE(blocks.count(thread) == own);
    OnThread executor(threads, thread);
    const auto all = calls(executor, tasks, blocks, per_block);
    CHECK(complete(all, rows, per_block));
    int at = 0;
    for (int turn = 0; turn < threads; ++turn) {
      const int owner = (thread + turn) % threads;
      // Blocks take turns: what belongs to an index is used by all of them while it is in the cache.
      for (int index = 0; index < per_block; ++index)
        for (int i = 0; i < own; ++i, ++at) {
          const Call& c = all[static_cast<std::size_t>(at)];
          CHECK(c.first == blocks.block(owner, i).first);
          CHECK(c.index == index);
          CHECK(c.thread == thread);
        }
    }
  }
}

TEST_CASE("one thread has all rows, in equal blocks") {
  const RowBlocks blocks(197, 42, 6, 1);
  CHECK(blocks.count(0) == 5);
  CHECK(blocks.block(0, 4).first == 168);
  CHECK(blocks.block(0, 4).count == 29);
  CHECK(blocks.block(0, 4).turn == 4);
  CHECK(blocks.block(0, 4).turns == 5);
}

TEST_CASE("shares differ by a row, and each is cut by itself") {
  const RowBlocks two(197, 48, 6, 2);
  REQUIRE(two.count(0) == 3);
  CHECK(two.block(0, 0).count == 36);
  CHECK(two.block(0, 2).count == 26);
  CHECK(two.block(0, 2).turns == 3);
  CHECK(two.block(1, 0).first == 98);
  CHECK(two.block(1, 2).count == 27);
  CHECK(two.count() == 6);
}

TEST_CASE("shares of few rows differ by a unit") {
  const RowBlocks one(5, 48, 6, 4);
  CHECK(one.count() == 1);
  CHECK(one.block(3, 0).first == 0);
  CHECK(one.block(3, 0).count == 5);
  const RowBlocks two(11, 48, 6, 2);
  CHECK(two.block(0, 0).count == 6);
  CHECK(two.block(1, 0).count == 5);
}

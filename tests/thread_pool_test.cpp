#include "runtime/thread_pool.hpp"

#include <doctest/doctest.h>

#include <chrono>

using vitrail::ThreadPool;

TEST_CASE("every task runs exactly once, on any number of threads, job after job") {
  for (const int threads : {1, 2, 3, 16}) {  // 16: more threads than the machines that test this have cores
    ThreadPool pool(threads);
    CHECK(pool.threads() == threads);
    for (int job = 0; job < 300; ++job) {
      const int count = job % 41;
      std::vector<std::atomic<int>> runs(41);
      std::atomic<bool> bad_thread{false};
      run(pool, count, [&](int i, int thread) {
        ++runs[static_cast<std::size_t>(i)];
        if (thread < 0 || thread >= threads) bad_thread = true;
      });
      for (int i = 0; i < 41; ++i) CHECK(runs[static_cast<std::size_t>(i)] == (i < count ? 1 : 0));
      CHECK(!bad_thread);
    }
  }
}

TEST_CASE("what tasks wrote is visible when run returns") {
  ThreadPool pool(4);
  std::vector<int> values(1000);
  for (int job = 1; job < 200; ++job) {
    run(pool, 1000, [&](int i, int) { values[static_cast<std::size_t>(i)] += i; });
    CHECK(values[999] == 999 * job);
  }
}

TEST_CASE("workers that went to sleep wake up for the next job") {
  ThreadPool pool(2);
  for (int job = 0; job < 3; ++job) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // far longer than a worker spins
    std::atomic<int> threads_seen{0};
    // Each task waits for the other, so that both threads must take one.
    run(pool, 2, [&](int, int) {
      ++threads_seen;
      while (threads_seen < 2) std::this_thread::yield();
    });
    CHECK(threads_seen == 2);
  }
}

TEST_CASE("one slow thread does not stall a job: the others take its share") {
  ThreadPool pool(2);
  std::atomic<int> slow_tasks{0}, fast_tasks{0};
  run(pool, 64, [&](int, int thread) {
    if (thread == 1) {
      ++slow_tasks;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    } else {
      ++fast_tasks;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
  CHECK(slow_tasks + fast_tasks == 64);
  CHECK(slow_tasks <= 8);  // claimed one by one: a fixed half would be 32
}

// Where a session's work runs when an application brings its own threads.
#pragma once

namespace vitrail {

/// Runs the tasks of one operation after the other; the answer does not depend on how. An implementation must not
/// throw, and must not call back into the session. A call of a task may wait for another one of the same run() that has
/// begun: calls that take turns on one thread (fibers) would wait for ever. One executor may serve several sessions if
/// its run() may be called by several threads at once.
class Executor {
 public:
  using Task = void (*)(const void* context, int index, int thread);

  virtual ~Executor() = default;

  /// How many threads run() uses at most, 1 … 256; does not change.
  virtual int threads() const noexcept = 0;

  /// Calls task(context, index, thread) for every index in [0, count) and returns when all calls have. `thread` is in
  /// [0, threads()); two calls at the same time never have the same one. What a call wrote is visible after run().
  virtual void run(int count, Task task, const void* context) noexcept = 0;
};

}  // namespace vitrail

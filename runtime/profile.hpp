// Times the operations of a run, when asked to.
#pragma once

#include <chrono>
#include <span>
#include <vector>

#include "vitrail/session.hpp"

namespace vitrail {

class Profile {
 public:
  /// Room for `operations` per run; 0 switches it off.
  explicit Profile(std::size_t operations = 0) { operations_.reserve(operations); }

  bool on() const noexcept { return operations_.capacity() > 0; }

  void start() noexcept {
    operations_.clear();
    start_ = Clock::now();
  }
  std::span<const Operation> operations() const noexcept { return operations_; }

  /// Records one operation, from its construction to its end.
  class Timed {
   public:
    Timed(Profile& profile, const char* name, const char* kernel, std::uint64_t macs, std::uint64_t bytes) noexcept
        : profile_(profile), operation_{name, kernel, 0, 0, macs, bytes} {
      if (profile_.room()) operation_.start_ms = profile_.now();
    }
    ~Timed() {
      if (!profile_.room()) return;
      operation_.duration_ms = profile_.now() - operation_.start_ms;
      profile_.operations_.push_back(operation_);
    }
    Timed(const Timed&) = delete;
    Timed& operator=(const Timed&) = delete;

   private:
    Profile& profile_;
    Operation operation_;
  };

 private:
  using Clock = std::chrono::steady_clock;

  bool room() const noexcept { return operations_.size() < operations_.capacity(); }
  double now() const noexcept { return std::chrono::duration<double, std::milli>(Clock::now() - start_).count(); }

  std::vector<Operation> operations_;
  Clock::time_point start_;
};

}  // namespace vitrail

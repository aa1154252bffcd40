// A variable of the environment, for a scope.
#pragma once

#include <cstdlib>
#include <string>

namespace vitrail::test {

class Environment {
 public:
  Environment(const char* name, const std::string& value) : name_(name) { setenv(name, value.c_str(), 1); }
  ~Environment() { unsetenv(name_); }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  const char* name_;
};

/// VITRAIL_CPU
struct CpuLimit : Environment {
  explicit CpuLimit(const std::string& name) : Environment("VITRAIL_CPU", name) {}
};

}  // namespace vitrail::test

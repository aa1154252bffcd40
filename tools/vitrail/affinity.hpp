// Which cores this process runs on: --affinity.
#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

#include "vitrail/error.hpp"

namespace vitrail::cli {

/// A core that is online, and how fast it is compared with the others of this machine.
struct Core {
  int number = 0;
  long capacity = 0;
};

/// The online cores under a sysfs folder of CPUs, by number: capacities are `cpu_capacity` (Linux's scale of 1024), or
/// else the largest frequency. Where any core says neither, all count as equal. Empty where there is no such folder.
std::vector<Core> read_cores(const std::filesystem::path& sysfs_cpus);

/// The cores meant by `which`, never none:
///   all      every one
///   big      those of at least three quarters of the largest capacity: all of them on a machine of equal cores
///   little   the others; all of them on a machine of equal cores
///   0xf0     a mask, lowest bit core 0
///   0,4-7    a list
/// An error when `which` is none of these, or means no core that is online.
Result<std::vector<int>> choose_cores(std::string_view which, const std::vector<Core>& cores);

/// Restricts this process, and the threads it starts from now on, to the cores meant by `which` among those it may use.
/// Returns how many these are. Where the system has no such call or tells nothing of its cores, "all" and "big" change
/// nothing and others are an error.
Result<int> run_on(std::string_view which);

}  // namespace vitrail::cli

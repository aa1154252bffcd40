// The kernel tables of every class this CPU has, by VITRAIL_CPU's names.
#pragma once

#include <string>
#include <vector>

#include "runtime/kernels.hpp"

namespace vitrail::test {

inline constexpr const char* class_names[] = {"reference",        "sse4_2",      "avx2",     "avx_vnni",
                                              "avx512",           "avx512_vnni", "amx_int8", "neon",
                                              "dotprod_in_order", "dotprod",     "i8mm"};

struct Platform {
  std::string name;
  Kernels kernels;
};

inline std::vector<Platform> platforms() {
  std::vector<Platform> all;
  for (const char* name : class_names)
    if (auto s = select_kernels(name, false, 1)) all.push_back({name, s->kernels});
  return all;
}

}  // namespace vitrail::test

// Which kernels this CPU gets: the reference, then its architecture's staircase, then oneDNN where it is exact.
#include <array>

#include "platforms/reference/reference.hpp"
#include "runtime/kernels.hpp"
#include "runtime/thread_pool.hpp"
#ifdef VITRAIL_X86
#include "platforms/x86/x86.hpp"
#endif
#ifdef VITRAIL_WITH_ONEDNN
#include "platforms/onednn/onednn.hpp"
#endif

namespace vitrail {
namespace {

/// A class of CPU by the name users give it (VITRAIL_CPU), and whether this one belongs to it.
struct CpuClass {
  std::string_view name;
  bool available;
};

/// Every name of every architecture, so that a name of another one is refused as absent and a misspelt one as unknown.
constexpr std::array all_names{"reference",   "sse4_2", "avx2",    "avx_vnni", "avx512",
                               "avx512_vnni", "neon",   "dotprod", "i8mm"};

std::string list(const auto& classes, bool only_available) {
  std::string text;
  for (const auto& c : classes)
    if (c.available || !only_available) text += (text.empty() ? "" : ", ") + std::string(c.name);
  return text;
}

/// The position of `limit` in `classes` (the last one when empty), or an error.
template <class Classes>
Result<std::size_t> find_limit(const Classes& classes, std::string_view limit) {
  if (limit.empty()) return classes.size() - 1;
  for (std::size_t i = 0; i < classes.size(); ++i)
    if (classes[i].name == limit && classes[i].available) return i;
  std::string names;
  bool known = false;
  for (const std::string_view name : all_names) {
    known |= name == limit;
    names += (names.empty() ? "" : ", ") + std::string(name);
  }
  if (known)
    return Error{ErrorCode::invalid_argument,
                 "VITRAIL_CPU: found '" + std::string(limit) +
                     "', which this CPU or this build lacks; expected one of: " + list(classes, true)};
  return Error{ErrorCode::invalid_argument,
               "VITRAIL_CPU: found '" + std::string(limit) + "', expected one of: " + names};
}

}  // namespace

Result<Selection> select_kernels(std::string_view cpu_limit, bool onednn, [[maybe_unused]] int threads) {
  Selection s{reference::kernels(), nullptr, {}};
#ifdef VITRAIL_X86
  const x86::Features found = x86::features(x86::read_cpuid());
  const std::array classes{CpuClass{"reference", true}, CpuClass{"avx2", found.avx2},
                           CpuClass{"avx_vnni", found.avx_vnni}, CpuClass{"avx512", found.avx512},
                           CpuClass{"avx512_vnni", found.avx512_vnni}};
#else
  const std::array classes{CpuClass{"reference", true}};
#endif
  const auto limit = find_limit(classes, cpu_limit);
  if (!limit) return limit.error();
  const auto allowed = [&](std::size_t i) { return classes[i].available && i <= *limit; };

#ifdef VITRAIL_X86
  x86::init(s.kernels, {allowed(1), allowed(2), allowed(3), allowed(4)});
#endif

  s.report += "cpu classes: " + list(classes, true) + "\n";
  for (std::size_t i = 1; i < classes.size(); ++i) {
    if (!classes[i].available)
      s.report += "  " + std::string(classes[i].name) + ": not used, this CPU lacks it\n";
    else if (!allowed(i))
      s.report += "  " + std::string(classes[i].name) + ": not used, VITRAIL_CPU=" + std::string(cpu_limit) + "\n";
  }
  s.report += "row kernels: " + std::string(s.kernels.simd_name) + "\n";
  s.report += "int8 product: " + std::string(s.kernels.gemm_name) + "\n";

  std::string why;
#ifdef VITRAIL_WITH_ONEDNN
  if (!onednn)
    why = "VITRAIL_ONEDNN=0";
  else if (*limit + 1 < classes.size())
    why = "VITRAIL_CPU=" + std::string(cpu_limit) + " and oneDNN picks its own instructions";
  else if (!classes[4].available)
    why = "without AVX512-VNNI its int8 product saturates or runs as reference code";
  else
    s.provider = onednn::make_provider(threads, why);
#else
  why = "this build has no oneDNN";
  (void)onednn;
#endif
  s.report +=
      s.provider ? "int8 product, first choice: " + s.provider->name() + "\n" : "  oneDNN: not used, " + why + "\n";
  return s;
}

void spin_pause() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
  __asm__ volatile("yield");
#endif
}

}  // namespace vitrail

// Which kernels this CPU gets: the reference, then its architecture's staircase, then oneDNN where it is exact and
// asked for.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <vector>

#include "platforms/reference/reference.hpp"
#include "runtime/kernels.hpp"
#include "runtime/thread_pool.hpp"
#if defined(VITRAIL_X86)
#include "platforms/x86/x86.hpp"
#elif defined(VITRAIL_ARM)
#include "platforms/arm/arm.hpp"
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
  const char* unsuited = nullptr;      ///< why it is only taken when VITRAIL_CPU asks for it, or null
  bool (*permit)() = nullptr;          ///< asks the operating system, before it is used, or null
  std::string_view missing_from = {};  ///< a later class whose CPUs do not have it
};

#if defined(VITRAIL_X86)

/// From old to new; install() counts on this order.
std::vector<CpuClass> classes_of_this_cpu() {
  const x86::Features found = x86::features(x86::read_cpuid());
  return {{"reference", true},
          {"sse4_2", found.sse4_2},
          {"avx2", found.avx2},
          {.name = "avx_vnni", .available = found.avx_vnni, .missing_from = "avx512"},
          {"avx512", found.avx512},
          {"avx512_vnni", found.avx512_vnni},
          {"amx_int8", found.amx_int8, nullptr, x86::permit_amx}};
}
void install(Kernels& k, const auto& allowed) {
  x86::init(k, {allowed(1), allowed(2), allowed(3), allowed(4), allowed(5), allowed(6)});
}
constexpr const char* onednn_needs = "avx512_vnni";
constexpr const char* onednn_lack = "without AVX512-VNNI its int8 product saturates or runs as reference code";

#elif defined(VITRAIL_ARM)

std::vector<CpuClass> classes_of_this_cpu() {
  const arm::Features found = arm::features(arm::read_hwcap());
  const char* const unsuited = found.in_order ? "every core issues in order" : nullptr;
  return {{"reference", true},
          {"neon", found.neon},
          {"dotprod_in_order", found.dotprod},
          {"dotprod", found.dotprod, unsuited},
          {"i8mm", found.i8mm}};
}
void install(Kernels& k, const auto& allowed) { arm::init(k, {allowed(1), allowed(2), allowed(3), allowed(4)}); }
constexpr const char* onednn_needs = "";
constexpr const char* onednn_lack = "on ARM without SVE its int8 product runs as reference code in double";

#else

std::vector<CpuClass> classes_of_this_cpu() { return {{"reference", true}}; }
void install(Kernels&, const auto&) {}
constexpr const char* onednn_needs = "";
constexpr const char* onednn_lack = "its int8 product has not been tested on this architecture";

#endif

/// Every name of every architecture, so that a name of another one is refused as absent and a misspelt one as unknown.
constexpr std::array all_names{"reference",        "sse4_2",      "avx2",     "avx_vnni",
                               "avx512",           "avx512_vnni", "amx_int8", "neon",
                               "dotprod_in_order", "dotprod",     "i8mm"};

std::string list(const std::vector<CpuClass>& classes, bool only_available) {
  std::string text;
  for (const auto& c : classes)
    if (c.available || !only_available) text += (text.empty() ? "" : ", ") + std::string(c.name);
  return text;
}

/// The position of `limit` in `classes` (the last one when empty), or an error.
Result<std::size_t> find_limit(const std::vector<CpuClass>& classes, std::string_view limit) {
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

std::string_view environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

}  // namespace

Result<Selection> select_kernels(std::string_view cpu_limit, bool onednn, [[maybe_unused]] int threads) {
  Selection s{reference::kernels(), nullptr, {}};
  // Asked once, not per plan of a resize: it opens files on ARM, and traps in a virtual x86.
  static const std::vector<CpuClass> classes = classes_of_this_cpu();
  const auto limit = find_limit(classes, cpu_limit);
  if (!limit) return limit.error();
  const std::string limited = "VITRAIL_CPU=" + std::string(cpu_limit);

  const auto suits = [](const CpuClass& c) { return c.available && c.name == onednn_needs; };
  const auto for_onednn = std::find_if(classes.begin(), classes.end(), suits);
  std::string why_not_onednn;
  if (for_onednn == classes.end())
    why_not_onednn = onednn_lack;
  else if (!onednn)
    why_not_onednn = "only VITRAIL_ONEDNN=1 asks for it";
  else if (*limit + 1 < classes.size())
    why_not_onednn = limited + " and oneDNN picks its own instructions";
#ifndef VITRAIL_WITH_ONEDNN
  else
    why_not_onednn = "this build has no oneDNN";
#endif
  const bool use_onednn = why_not_onednn.empty();

  std::vector<std::string> why_not(classes.size());  // empty: it is used
  for (std::size_t i = 1; i < classes.size(); ++i) {
    if (!classes[i].available)
      why_not[i] = "this CPU lacks it";
    else if (cpu_limit.empty() && classes[i].unsuited)
      why_not[i] = classes[i].unsuited;
    else if (i > *limit)
      why_not[i] = limited;
    else if (!cpu_limit.empty() && cpu_limit == classes[i].missing_from)
      why_not[i] = limited + ", whose CPUs lack it";
    else if (use_onednn && classes.begin() + static_cast<std::ptrdiff_t>(i) > for_onednn)
      why_not[i] = "oneDNN multiplies and does not read its weights";
    else if (classes[i].permit && !classes[i].permit())
      why_not[i] = "the operating system does not permit it";
  }
  install(s.kernels, [&](std::size_t i) { return why_not[i].empty(); });

  s.report += "cpu classes: " + list(classes, true) + "\n";
  for (std::size_t i = 1; i < classes.size(); ++i)
    if (!why_not[i].empty()) s.report += "  " + std::string(classes[i].name) + ": not used, " + why_not[i] + "\n";
  s.report += "row kernels: " + std::string(s.kernels.simd_name) + "\n";
  s.report += "int8 product: " + std::string(s.kernels.gemm_name) + "\n";

#ifdef VITRAIL_WITH_ONEDNN
  if (use_onednn && threads > 0) s.provider = onednn::make_provider(threads, why_not_onednn);
#endif
  if (!s.provider) s.report += "  oneDNN: not used, " + why_not_onednn + "\n";
  return s;
}

Result<Selection> select_kernels(int threads) {
  const std::string_view onednn = environment("VITRAIL_ONEDNN");
  if (!onednn.empty() && onednn != "0" && onednn != "1")
    return Error{ErrorCode::invalid_argument, "VITRAIL_ONEDNN: found '" + std::string(onednn) + "', expected 0 or 1"};
  return select_kernels(environment("VITRAIL_CPU"), onednn == "1", threads);
}

Result<Kernels> select_kernels() {
  const auto selection = select_kernels(0);
  if (!selection) return selection.error();
  return selection->kernels;
}

void spin_pause() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
  __asm__ volatile("yield");
#endif
}

}  // namespace vitrail

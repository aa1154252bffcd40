#include "affinity.hpp"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <optional>
#include <set>
#include <string>
#include <thread>

namespace vitrail::cli {
namespace {

constexpr int most_cores = 4096;

std::optional<int> number(std::string_view text, int base = 10) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) return {};
  return value;
}

/// "0-3,5"; nothing when it is not of that form.
std::optional<std::set<int>> parse_list(std::string_view text) {
  std::set<int> list;
  while (true) {
    const std::string_view item = text.substr(0, text.find(','));
    const std::size_t dash = item.find('-');
    const auto first = number(item.substr(0, dash));
    const auto last = dash == item.npos ? first : number(item.substr(dash + 1));
    if (!first || !last || *first > *last || *last >= most_cores) return {};
    for (int i = *first; i <= *last; ++i) list.insert(i);
    if (item.size() == text.size()) return list;
    text.remove_prefix(item.size() + 1);
  }
}

/// "0xf0", of any length.
std::optional<std::set<int>> parse_mask(std::string_view text) {
  if (!text.starts_with("0x") || text.size() < 3 || text.size() > 2 + most_cores / 4) return {};
  std::set<int> list;
  for (std::size_t i = 2; i < text.size(); ++i) {
    const auto digit = number(text.substr(i, 1), 16);
    if (!digit) return {};
    for (int bit = 0; bit < 4; ++bit)
      if (*digit >> bit & 1) list.insert(static_cast<int>(text.size() - 1 - i) * 4 + bit);
  }
  return list;
}

std::optional<long> read_number(const std::filesystem::path& path) {
  long value = 0;
  std::ifstream file(path);
  if (!(file >> value) || value <= 0) return {};
  return value;
}

std::string names_of(const std::vector<Core>& cores) {
  std::string names;
  for (const Core& core : cores) names += (names.empty() ? "" : ", ") + std::to_string(core.number);
  return names;
}

}  // namespace

std::vector<Core> read_cores(const std::filesystem::path& sysfs_cpus) {
  std::ifstream file(sysfs_cpus / "online");
  std::string text;
  std::getline(file, text);
  const auto online = parse_list(text);
  if (!online) return {};
  std::vector<Core> cores;
  for (const char* source : {"cpu_capacity", "cpufreq/cpuinfo_max_freq"}) {
    cores.clear();
    for (const int i : *online) {
      const auto capacity = read_number(sysfs_cpus / ("cpu" + std::to_string(i)) / source);
      if (!capacity) break;
      cores.push_back({i, *capacity});
    }
    if (cores.size() == online->size()) return cores;
  }
  cores.clear();
  for (const int i : *online) cores.push_back({i, 1});
  return cores;
}

Result<std::vector<int>> choose_cores(std::string_view which, const std::vector<Core>& cores) {
  long largest = 0;
  for (const Core& core : cores) largest = std::max(largest, core.capacity);
  const auto is_big = [&](const Core& core) { return core.capacity >= largest - largest / 4; };
  const bool equal = std::all_of(cores.begin(), cores.end(), is_big);

  std::optional<std::set<int>> named;
  const bool all = which == "all", big = which == "big", little = which == "little";
  if (!all && !big && !little) {
    named = which.starts_with("0x") ? parse_mask(which) : parse_list(which);
    if (!named)
      return Error{ErrorCode::invalid_argument, "--affinity: found '" + std::string(which) +
                                                    "', expected all, big, little, a mask such as 0xf0, or a list of "
                                                    "cores such as 0,4-7"};
  }
  std::vector<int> chosen;
  for (const Core& core : cores)
    if (named ? named->count(core.number) > 0 : all || equal || is_big(core) == big) chosen.push_back(core.number);
  if (chosen.empty())
    return Error{ErrorCode::invalid_argument, "--affinity: found '" + std::string(which) +
                                                  "', which means no core that is online; online: " + names_of(cores)};
  return chosen;
}

Result<int> run_on(std::string_view which) {
  std::vector<Core> cores = read_cores("/sys/devices/system/cpu");
  // The mask the system gave this process comes first: containers, taskset.
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  const bool known = sched_getaffinity(0, sizeof allowed, &allowed) == 0;
  std::erase_if(cores,
                [&](const Core& c) { return known && (c.number >= CPU_SETSIZE || !CPU_ISSET(c.number, &allowed)); });
  if (cores.empty() && known)
    for (int i = 0; i < CPU_SETSIZE; ++i)
      if (CPU_ISSET(i, &allowed)) cores.push_back({i, 1});
  if (cores.empty())
    for (int i = 0; i < static_cast<int>(std::max(1u, std::thread::hardware_concurrency())); ++i)
      cores.push_back({i, 1});
  const auto chosen = choose_cores(which, cores);
  if (!chosen) return chosen.error();
  if (chosen->size() < cores.size()) {
    cpu_set_t mask;
    CPU_ZERO(&mask);
    for (const int i : *chosen) CPU_SET(i, &mask);
    if (sched_setaffinity(0, sizeof mask, &mask) != 0)
      return Error{ErrorCode::unsupported,
                   "--affinity: found '" + std::string(which) + "', and the system refused to run only there"};
  }
  return static_cast<int>(chosen->size());
}

}  // namespace vitrail::cli

#include "profile.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "console.hpp"
#include "tools/codecs/atomic_file.hpp"

namespace vitrail::cli {

void OperationSums::add(std::span<const Operation> run) {
  ++runs_;
  for (const Operation& o : run) {
    auto sum = std::find_if(sums_.begin(), sums_.end(),
                            [&](const Sum& s) { return s.name == o.name && s.kernel == o.kernel; });
    if (sum == sums_.end()) sum = sums_.insert(sums_.end(), Sum{.name = o.name, .kernel = o.kernel});
    ++sum->calls;
    sum->ms += o.duration_ms;
    sum->macs += o.macs;
    sum->bytes += o.bytes;
  }
}

void OperationSums::print(double peak) const {
  double total = 0;
  for (const Sum& s : sums_) total += s.ms;
  if (runs_ == 0 || total <= 0) return;
  const auto runs = static_cast<double>(runs_);
  using enum Table::Align;
  Table table({left, right, right, right, right, right, left});
  table.add({"operation", "calls", "time", "share", "rate", "of peak", "kernel"});
  for (const Sum& s : sums_) {
    const double per_ms = static_cast<double>(s.macs ? s.macs : s.bytes) / s.ms * 1e-6;
    table.add({s.name, std::to_string(s.calls / runs_), decimal(s.ms / runs, 3) + " ms",
               decimal(100 * s.ms / total, 1) + " %", decimal(per_ms, 1) + (s.macs ? " GMAC/s" : " GB/s"),
               s.macs && peak > 0 ? decimal(100 * per_ms / peak, 1) + " %" : "", s.kernel});
  }
  table.add({"all", "", decimal(total / runs, 3) + " ms", "100.0 %", "", "", ""});
  table.print();
}

nlohmann::ordered_json OperationSums::to_json() const {
  auto list = nlohmann::ordered_json::array();
  const auto runs = static_cast<double>(std::max<std::size_t>(runs_, 1));
  for (const Sum& s : sums_)
    list.push_back({{"name", s.name},
                    {"kernel", s.kernel},
                    {"calls", s.calls / std::max<std::size_t>(runs_, 1)},
                    {"ms", rounded(s.ms / runs, 4)},
                    {"macs", s.macs / std::max<std::size_t>(runs_, 1)},
                    {"bytes", s.bytes / std::max<std::size_t>(runs_, 1)}});
  return list;
}

Status save_trace(std::span<const Operation> run, const std::string& path) {
  auto events = nlohmann::ordered_json::array();
  for (const Operation& o : run)
    events.push_back({{"name", o.name},
                      {"ph", "X"},
                      {"pid", 1},
                      {"tid", 1},
                      {"ts", rounded(o.start_ms * 1000, 3)},
                      {"dur", rounded(o.duration_ms * 1000, 3)},
                      {"args", {{"kernel", o.kernel}, {"macs", o.macs}, {"bytes", o.bytes}}}});
  const std::string text = nlohmann::ordered_json{{"traceEvents", events}, {"displayTimeUnit", "ms"}}.dump(1) + "\n";
  auto file = codec::AtomicFile::create(path);
  if (!file) return file.error();
  if (std::fwrite(text.data(), 1, text.size(), file->file()) != text.size()) return file->failed(std::strerror(errno));
  return file->commit();
}

}  // namespace vitrail::cli

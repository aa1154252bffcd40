// vitrail bench: how long one run of a network takes here. Pictures have the network's size already, so that only the
// network is measured. With --dtype both, int8 and f32 take turns in one run: a machine that gets slower slows both.
// So do a batch and its pictures one by one. What the cores could do at most is measured before and after, in the same
// threads.
#include <algorithm>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "inputs.hpp"
#include "machine.hpp"
#include "profile.hpp"

namespace vitrail::cli {
namespace {

struct Options {
  SizeOption size;
  std::string architecture = "vit_base_patch16_224", folder, dtype = "both", attention = "int8", outputs = "all", trace;
  int threads = 1, batch = 1, runs = 0;
  double seconds = 3;
  bool json = false, profile = false, no_peak = false;
};

/// One network in one arithmetic, and how long its runs took.
class Contender {
 public:
  static Result<Contender> make(const Options& options, DType dtype) {
    const auto model = options.folder.empty() ? random_model(options.architecture, dtype, options.threads)
                                              : load_model(options.folder, dtype, options.threads);
    if (!model) return model.error();
    const bool classify = options.outputs == "logits";
    if (classify && model->info().num_labels == 0)
      return Error{ErrorCode::unsupported,
                   "--outputs: found logits, of a network without a classification head; expected all"};
    auto session = open_session(*model, {.threads = options.threads,
                                         .max_batch = options.batch,
                                         .attention = dtype_from(options.attention),
                                         .image_height = options.size.height,
                                         .image_width = options.size.width,
                                         .outputs = classify ? Outputs::logits : Outputs::standard,
                                         .profile = options.profile || !options.trace.empty()});
    if (!session) return session.error();
    const ModelInfo info = session->info();
    return Contender(info, *std::move(session), options.batch);
  }

  Status run(bool counted) {
    double one_by_one_ms = 0;
    for (int i = 0; batch_ > 1 && i < batch_; ++i)
      if (const Status good = timed_run(1, one_by_one_ms); !good) return good;
    double batch_ms = 0;
    if (const Status good = timed_run(batch_, batch_ms); !good) return good;
    if (!counted) return {};
    times_ms_.push_back(batch_ms);
    if (batch_ > 1) of_one_by_one_.push_back(batch_ms / one_by_one_ms);
    operations_.add(session_.profile());
    return {};
  }

  /// Twice: before and after the runs.
  void measure_peak() { peak_ = std::max(peak_, session_.peak_gmacs_per_s()); }
  void finish() {
    std::sort(times_ms_.begin(), times_ms_.end());
    std::sort(of_one_by_one_.begin(), of_one_by_one_.end());
  }

  const ModelInfo& info() const { return info_; }
  std::string kernels() const { return session_.describe(); }
  std::size_t runs() const { return times_ms_.size(); }
  double min_ms() const { return times_ms_.front(); }
  double median_ms() const { return median(times_ms_); }
  double p99_ms() const { return times_ms_[(runs() * 99 + 99) / 100 - 1]; }  // nearest rank
  double peak_gmacs_per_s() const { return peak_; }                          // 0: unknown
  /// A batch's time as a share of its pictures' one by one: the median over the rounds. 1 for a batch of one.
  double of_one_by_one() const { return of_one_by_one_.empty() ? 1 : median(of_one_by_one_); }
  const OperationSums& operations() const { return operations_; }
  std::span<const Operation> last_run() const { return session_.profile(); }
  double gmacs_per_s() const { return static_cast<double>(info_.macs) * batch_ / median_ms() / 1e6; }

 private:
  Contender(const ModelInfo& info, Session session, int batch)
      : info_(info),
        session_(std::move(session)),
        picture_(noise(info.image_width, info.image_height, info.channels)),
        batch_(batch) {}

  static double median(const std::vector<double>& sorted) {
    return (sorted[(sorted.size() - 1) / 2] + sorted[sorted.size() / 2]) / 2;
  }
  /// Adds to `sum_ms` what a run of `count` pictures takes.
  Status timed_run(int count, double& sum_ms) {
    const std::vector<ImageView> pictures(static_cast<std::size_t>(count), picture_.view());
    const auto start = std::chrono::steady_clock::now();
    const auto output = session_.run(pictures);
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    if (!output) return output.error();
    sum_ms += took.count();
    return {};
  }

  ModelInfo info_;
  Session session_;
  Image picture_;
  int batch_;
  std::vector<double> times_ms_;       // per run of a whole batch
  std::vector<double> of_one_by_one_;  // of batches of more than one
  OperationSums operations_;
  double peak_ = 0;
};

Status measure(std::vector<Contender>& contenders, const Options& options) {
  using Clock = std::chrono::steady_clock;
  Progress progress("measuring");
  // Twice each: pages are touched, caches filled, clocks raised.
  for (int i = 0; i < 2; ++i) {
    for (Contender& contender : contenders) {
      if (const Status good = contender.run(false); !good) return good;
    }
  }
  for (Contender& contender : contenders)
    if (!options.no_peak) contender.measure_peak();
  const auto start = Clock::now();
  for (int round = 0;; ++round) {
    const double elapsed = std::chrono::duration<double>(Clock::now() - start).count();
    const double fraction = options.runs > 0 ? static_cast<double>(round) / options.runs : elapsed / options.seconds;
    if (fraction >= 1 && round > 0) break;
    progress.update(fraction, std::to_string(round) + " runs");
    for (Contender& contender : contenders) {
      if (const Status good = contender.run(true); !good) return good;
    }
  }
  for (Contender& contender : contenders) {
    if (!options.no_peak) contender.measure_peak();
    contender.finish();
  }
  return {};
}

nlohmann::ordered_json to_json(const Contender& c, const Options& options) {
  nlohmann::ordered_json json{
      {options.folder.empty() ? "arch" : "model", options.folder.empty() ? options.architecture : options.folder},
      {"dtype", name_of(c.info().dtype)},
      {"threads", options.threads},
      {"batch", options.batch},
      {"outputs", options.outputs},
      {"runs", c.runs()},
      {"median_ms", rounded(c.median_ms(), 3)},
      {"min_ms", rounded(c.min_ms(), 3)},
      {"p99_ms", rounded(c.p99_ms(), 3)},
      {"macs", c.info().macs},
      {"gmacs_per_s", rounded(c.gmacs_per_s(), 2)},
      {"peak_gmacs_per_s", nullptr},
      {"of_peak", nullptr}};
  if (const double peak = c.peak_gmacs_per_s(); peak > 0) {
    json["peak_gmacs_per_s"] = rounded(peak, 2);
    json["of_peak"] = rounded(c.gmacs_per_s() / peak, 4);
  }
  if (options.batch > 1) json["of_one_by_one"] = rounded(c.of_one_by_one(), 4);
  if (options.profile) json["operations"] = c.operations().to_json();
  json["kernels"] = lines_of(c.kernels());
  json["cpu"] = cpu_name();
  return json;
}

void print_table(const std::vector<Contender>& contenders, const Options& options) {
  std::printf("%s, %d thread%s, batch %d, %s%s\n\n",
              printable(options.folder.empty() ? options.architecture : options.folder).c_str(), options.threads,
              options.threads == 1 ? "" : "s", options.batch,
              options.outputs == "all" ? "" : (options.outputs + " alone, ").c_str(), cpu_name().c_str());
  using enum Table::Align;
  Table table({left, right, right, right, right, right, right});
  table.add({"", "median", "min", "p99", "GMAC/s", "of peak", "runs"});
  for (const Contender& c : contenders) {
    const double peak = c.peak_gmacs_per_s();
    table.add({name_of(c.info().dtype), decimal(c.median_ms(), 2) + " ms", decimal(c.min_ms(), 2) + " ms",
               decimal(c.p99_ms(), 2) + " ms", decimal(c.gmacs_per_s(), 1),
               peak > 0 ? decimal(c.gmacs_per_s() / peak * 100, 1) + " %" : "-", std::to_string(c.runs())});
  }
  table.print();
  if (contenders.size() == 2) {
    std::printf("\nint8 is %.2f times as fast as f32\n", contenders[1].median_ms() / contenders[0].median_ms());
  }
  for (const Contender& c : contenders)
    if (options.batch > 1)
      std::printf("%s%s: a batch takes %.3f of the time of its pictures one by one\n",
                  &c == contenders.data() ? "\n" : "", name_of(c.info().dtype), c.of_one_by_one());
  if (options.profile) {
    for (const Contender& c : contenders) {
      std::printf("\n%s, mean of %zu runs:\n", name_of(c.info().dtype), c.runs());
      c.operations().print(c.peak_gmacs_per_s());
    }
  }
  std::printf("\n");
  for (const Contender& c : contenders) {
    for (const std::string& line : lines_of(c.kernels()))
      std::printf("%s: %s\n", name_of(c.info().dtype), line.c_str());
  }
}

Status run(const Options& options) {
  std::vector<Contender> contenders;
  if (const Status good = check_outputs({{"--trace", options.trace}}, {{"-m", options.folder}}); !good) return good;
  for (const DType dtype : {DType::int8, DType::f32}) {
    if (options.dtype != "both" && options.dtype != name_of(dtype)) continue;
    auto contender = Contender::make(options, dtype);
    if (!contender) return contender.error();
    contenders.push_back(*std::move(contender));
  }
  if (const Status good = measure(contenders, options); !good) return good;
  if (!options.trace.empty()) {
    if (const Status good = save_trace(contenders.front().last_run(), options.trace); !good) return good;
  }
  if (!options.json) return print_table(contenders, options), Status();
  for (std::size_t i = 0; i < contenders.size(); ++i) {
    auto json = to_json(contenders[i], options);
    if (i == 0 && contenders.size() == 2) {
      json["f32_median_ms"] = rounded(contenders[1].median_ms(), 3);
      json["speedup_over_f32"] = rounded(contenders[1].median_ms() / contenders[0].median_ms(), 3);
    }
    print_json(json);
  }
  return {};
}

}  // namespace

void add_bench(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("bench", "Measure how fast a network runs here");
  options->size.add_to(*command);
  CLI::Option* architecture =
      command->add_option("--arch", options->architecture, "timm architecture, with random weights")
          ->type_name("NAME")
          ->capture_default_str();
  command->add_option("-m,--model", options->folder, "Folder of a model")->type_name("MODEL")->excludes(architecture);
  add_threads(*command, options->threads);
  command
      ->add_option(
          "--batch", options->batch,
          "Pictures per run; batches of more and their pictures one by one take turns, and the ratio is printed")
      ->check(CLI::Range(1, 1024))
      ->type_name("B")
      ->capture_default_str();
  command->add_option("--dtype", options->dtype, "int8, f32, or both in turns")
      ->check(CLI::IsMember({"int8", "f32", "both"}))
      ->type_name("TYPE")
      ->capture_default_str();
  add_attention(*command, options->attention);
  command
      ->add_option("--outputs", options->outputs,
                   "What a run must give: all (tokens, pooled, logits …), or logits, for which the last block does "
                   "without what no logit depends on")
      ->check(CLI::IsMember({"all", "logits"}))
      ->type_name("WHICH")
      ->capture_default_str();
  CLI::Option* seconds = command->add_option("--seconds", options->seconds, "How long to measure")
                             ->check(number_in(0, 3600))
                             ->type_name("S")
                             ->capture_default_str();
  command->add_option("--runs", options->runs, "How many runs to measure, instead of --seconds")
      ->check(CLI::Range(1, 1'000'000))
      ->type_name("N")
      ->excludes(seconds);
  command->add_flag("--no-peak", options->no_peak,
                    "Do not measure what the cores could do at most: every run of the program then executes the same "
                    "instructions");
  command->add_flag("--profile", options->profile, "Show where the time goes, operation by operation");
  command
      ->add_option("--trace", options->trace,
                   "Write the last run (of int8, when both are measured) as a Chrome trace: chrome://tracing, "
                   "ui.perfetto.dev")
      ->type_name("F.json");
  command->add_flag(
      "--json", options->json,
      "One JSON object per arithmetic and line; the first also has f32_median_ms and speedup_over_f32 when "
      "both are measured, and batches of more than one have of_one_by_one");
  command->callback([options] { run(*options).value(); });
}

}  // namespace vitrail::cli

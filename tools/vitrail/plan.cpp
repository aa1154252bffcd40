// vitrail plan: what each patch size costs, before any network of it is trained. Counts are exact; times are predicted
// from one short run of one network on this machine, whose layers' rates are carried over to the other patch sizes.
#include "plan.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>

#include "commands.hpp"
#include "inputs.hpp"
#include "machine.hpp"

namespace vitrail::cli {
namespace {

struct Options {
  std::string architecture = "vit_base", size = "224", dtype = "int8", chart;
  std::vector<int> patches = {8, 14, 16, 32};
  int threads = 1;
  bool measure = false, json = false;
};

/// What one run tells about the others: 10^9 multiply-accumulates a second, and milliseconds per token.
struct Calibration {
  int patch = 0;
  double linear_gmacs_per_s = 0, attention_gmacs_per_s = 0, other_ms_per_token = 0, peak_gmacs_per_s = 0;
};

Status check_patch(Size size, int patch) {
  const struct {
    const char* name;
    int length;
  } sides[] = {{"height", size.height}, {"width", size.width}};
  for (const auto& side : sides) {
    if (side.length % patch == 0) continue;
    const int below = side.length / patch * patch;
    return Error{ErrorCode::invalid_argument,
                 "--size: " + std::string(side.name) + " " + std::to_string(side.length) +
                     " is not a multiple of patch " + std::to_string(patch) + "; the nearest are " +
                     (below > 0 ? std::to_string(below) + " and " : "") + std::to_string(below + patch)};
  }
  constexpr long long kMost = 65536;
  const long long count = static_cast<long long>(size.height / patch) * (size.width / patch);
  if (count > kMost)
    return Error{ErrorCode::invalid_argument, "--patch " + std::to_string(patch) + ": " + std::to_string(count) +
                                                  " patches, at most " + std::to_string(kMost)};
  return {};
}

/// "vit_base_patch16_224.augreg_in21k" → "vit_base": which patches are compared is what --patch says. Other networks
/// than plain ones have names that go on differently.
Status take_encoder(std::string& architecture) {
  const std::string name = architecture;
  architecture.resize(std::min(name.find("_patch"), name.size()));
  static const std::regex plain("_patch[0-9]+(_[0-9]+)?(_in21k)?([.].*)?");
  if (architecture == name || std::regex_match(name.substr(architecture.size()), plain)) return {};
  return Error{ErrorCode::invalid_argument,
               "--arch: found " + name + ", expected a plain ViT or DeiT such as vit_small or vit_small_patch16_224"};
}

/// A network of this patch size, with random weights, and a session for the size.
struct Network {
  Session session;
  Image picture;

  static Result<Network> make(const Options& options, Size size, int patch) {
    // The name says a square picture; the session then has the size that is asked for.
    const int side = size.height == size.width ? size.height : patch * std::min(kMaxNetworkSide / patch, 8);
    const auto model =
        random_model(options.architecture + "_patch" + std::to_string(patch) + "_" + std::to_string(side),
                     dtype_from(options.dtype), options.threads);
    if (!model) return model.error();
    auto session = open_session(
        *model, {.threads = options.threads, .image_height = size.height, .image_width = size.width, .profile = true});
    if (!session) return session.error();
    const ModelInfo info = session->info();
    return Network{*std::move(session), noise(info.image_width, info.image_height, info.channels)};
  }

  Result<double> run_ms() {
    const auto start = std::chrono::steady_clock::now();
    const auto output = session.run(picture);
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    if (!output) return output.error();
    return took.count();
  }
};

/// The fastest of a few runs, by operation: what disturbs a run only makes it slower.
Result<Calibration> calibrate(Network& network, int patch) {
  Calibration best;
  double best_ms = 0;
  for (int i = 0; i < 4; ++i) {
    const auto took = network.run_ms();
    if (!took) return took.error();
    if (i == 0 || (i > 1 && *took >= best_ms)) continue;  // the first one touches the pages
    best_ms = *took;
    double linear_ms = 0, attention_ms = 0;
    std::uint64_t linear = 0, attention = 0;
    for (const Operation& o : network.session.profile()) {
      const bool attends = std::string_view(o.name) == "attention";
      if (o.macs > 0) (attends ? attention_ms : linear_ms) += o.duration_ms, (attends ? attention : linear) += o.macs;
    }
    best.linear_gmacs_per_s = static_cast<double>(linear) / linear_ms * 1e-6;
    best.attention_gmacs_per_s = static_cast<double>(attention) / attention_ms * 1e-6;
    best.other_ms_per_token = std::max(0.0, *took - linear_ms - attention_ms) / network.session.info().num_tokens;
  }
  best.patch = patch;
  best.peak_gmacs_per_s = network.session.peak_gmacs_per_s();
  return best;
}

/// The cost of `patch`, from a network of another patch size and the same encoder.
PatchCost cost_of(const ModelInfo& info, Size size, int patch, DType dtype) {
  const auto wide = [](int value) { return static_cast<std::uint64_t>(value); };
  PatchCost cost;
  cost.patch = patch;
  cost.rows = size.height / patch;
  cost.columns = size.width / patch;
  cost.tokens = cost.patches() + info.num_tokens - info.num_patches;
  cost.patch_elements = patch * patch * info.channels;
  const auto N = wide(cost.patches()), T = wide(cost.tokens), D = wide(info.embed_dim), M = wide(info.mlp_dim);
  const auto L = wide(info.num_layers), K = wide(cost.patch_elements);
  cost.attention_macs = L * 2 * T * T * D;
  // Patch embedding, blocks (qkv and proj: 4·D²; fc1 and fc2: 2·D·M), and what is left of the known network: its head.
  const auto layers = [&](std::uint64_t n, std::uint64_t t, std::uint64_t k) {
    return n * k * D + t * L * (4 * D * D + 2 * D * M);
  };
  const auto n0 = wide(info.num_patches), t0 = wide(info.num_tokens);
  const auto k0 = wide(info.patch_height * info.patch_width * info.channels);
  cost.linear_macs = layers(N, T, K) + (info.macs - L * 2 * t0 * t0 * D - layers(n0, t0, k0));
  cost.parameters = info.parameters + (K - k0) * D + (N - n0) * D;  // wraps around and back where it shrinks
  // What a session of one picture has, but for its paddings: the residual stream; of a block the products' rows, and
  // over each other the hidden layer and qkv with the packed heads.
  const std::uint64_t element = dtype == DType::int8 ? 1 : sizeof(float);
  const std::uint64_t rows = dtype == DType::int8 ? D + M : sizeof(float) * D;
  cost.activation_bytes = T * (4 * D + rows + std::max(4 * 3 * D + 2 * element * D, 4 * M));
  return cost;
}

std::string trade_off(const PatchCost& cost) {
  const std::string share = decimal(cost.attention_share() * 100, 0) + " % of the products are attention (N²)";
  if (cost.patches() >= 400 || cost.attention_share() >= 0.25) return "fine detail, dear: " + share;
  if (cost.patches() < 100)
    return "cheap and coarse: one token for " + std::to_string(cost.patch) + " × " + std::to_string(cost.patch) +
           " pixels, details inside are lost";
  return "in between: " + share + ", the cost grows with N";
}

nlohmann::ordered_json to_json(const PatchCost& c) {
  nlohmann::ordered_json json{{"patch", c.patch},
                              {"rows", c.rows},
                              {"columns", c.columns},
                              {"patches", c.patches()},
                              {"tokens", c.tokens},
                              {"patch_elements", c.patch_elements},
                              {"parameters", c.parameters},
                              {"macs", c.linear_macs + c.attention_macs},
                              {"linear_macs", c.linear_macs},
                              {"attention_macs", c.attention_macs},
                              {"activation_bytes", c.activation_bytes},
                              {"predicted_ms", rounded(c.predicted_ms(), 3)},
                              {"predicted_linear_ms", rounded(c.linear_ms, 3)},
                              {"predicted_attention_ms", rounded(c.attention_ms, 3)},
                              {"measured_ms", nullptr},
                              {"trade_off", c.trade_off}};
  if (c.measured_ms) json["measured_ms"] = rounded(*c.measured_ms, 3);
  return json;
}

void print_table(const std::vector<PatchCost>& costs, const Calibration& calibration, const std::string& title,
                 bool measured) {
  std::printf("%s\n\n", printable(title).c_str());
  using enum Table::Align;
  Table table({right, right, right, right, right, right, right, right, right});
  const auto giga = [](std::uint64_t macs) { return decimal(static_cast<double>(macs) * 1e-9, 2); };
  table.add({"P", "N", "P²·C", "parameters", "linear GMAC", "attention GMAC", "activations", "predicted",
             measured ? "measured" : ""});
  for (const PatchCost& c : costs)
    table.add({std::to_string(c.patch), std::to_string(c.patches()), std::to_string(c.patch_elements),
               grouped(c.parameters), giga(c.linear_macs), giga(c.attention_macs), bytes_text(c.activation_bytes),
               decimal(c.predicted_ms(), 1) + " ms", c.measured_ms ? decimal(*c.measured_ms, 1) + " ms" : ""});
  table.print();
  std::printf("\n");
  Table lines({right, left});
  for (const PatchCost& c : costs) lines.add({"P = " + std::to_string(c.patch), c.trade_off});
  lines.print();
  std::printf("\nPredicted from a run at P = %d: %.1f GMAC/s in linear layers, %.1f in attention", calibration.patch,
              calibration.linear_gmacs_per_s, calibration.attention_gmacs_per_s);
  if (const double peak = calibration.peak_gmacs_per_s; peak > 0)
    std::printf(" (%.0f and %.0f %% of this machine's peak)", calibration.linear_gmacs_per_s / peak * 100,
                calibration.attention_gmacs_per_s / peak * 100);
  std::printf("\n");
}

/// The median of some runs: at least three, then for up to a second.
Result<double> measure(Network& network) {
  std::vector<double> times;
  if (const auto first = network.run_ms(); !first) return first.error();
  for (double sum = 0; times.size() < 3 || (sum < 1000 && times.size() < 100); sum += times.back()) {
    const auto took = network.run_ms();
    if (!took) return took.error();
    times.push_back(*took);
  }
  std::nth_element(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2), times.end());
  return times[times.size() / 2];
}

Status run(Options options) {
  if (const Status good = check_outputs({{"-o", options.chart}}); !good) return good;
  const Size size = *parse_size(options.size);
  const std::set<int> patches(options.patches.begin(), options.patches.end());  // sorted, each once
  for (const int patch : patches)
    if (const Status good = check_patch(size, patch); !good) return good;
  if (const Status good = take_encoder(options.architecture); !good) return good;

  // Calibrated where a run is neither too short to be measured nor long: the patch size nearest to 16.
  const int known = *std::min_element(patches.begin(), patches.end(), [](int a, int b) {
    return std::max(a, 16) * std::min(b, 16) < std::max(b, 16) * std::min(a, 16);
  });
  auto network = Network::make(options, size, known);
  if (!network) return network.error();
  const auto calibration = calibrate(*network, known);
  if (!calibration) return calibration.error();
  ModelInfo info = network->session.info();
  if (size.height != size.width) {
    // The parameters of a network trained for this size: its position table has a row per patch.
    const auto table = static_cast<std::uint64_t>(std::min(8192 / known, 8));
    info.parameters +=
        (static_cast<std::uint64_t>(info.num_patches) - table * table) * static_cast<std::uint64_t>(info.embed_dim);
  }

  std::vector<PatchCost> costs;
  Progress progress("measuring");
  for (const int patch : patches) {
    PatchCost cost = cost_of(info, size, patch, dtype_from(options.dtype));
    cost.linear_ms = static_cast<double>(cost.linear_macs) / calibration->linear_gmacs_per_s * 1e-6;
    cost.attention_ms = static_cast<double>(cost.attention_macs) / calibration->attention_gmacs_per_s * 1e-6;
    cost.other_ms = calibration->other_ms_per_token * cost.tokens;
    cost.trade_off = trade_off(cost);
    if (options.measure) {
      progress.update(static_cast<double>(costs.size()) / static_cast<double>(patches.size()),
                      "P = " + std::to_string(patch));
      std::optional<Network> other;
      if (patch != known) {
        auto made = Network::make(options, size, patch);
        if (!made) return made.error();
        other.emplace(*std::move(made));
      }
      const auto took = measure(other ? *other : *network);
      if (!took) return took.error();
      cost.measured_ms = *took;
    }
    costs.push_back(cost);
  }
  progress.clear();

  const std::string title = options.architecture + ", pictures of " + std::to_string(size.height) + " × " +
                            std::to_string(size.width) + ", " + options.dtype;
  const std::string machine =
      cpu_name() + ", " + std::to_string(options.threads) + (options.threads == 1 ? " thread" : " threads");
  if (!options.chart.empty()) {
    if (const Status good = save_plan_chart(costs, title, machine, options.chart); !good) return good;
  }
  if (!options.json) return print_table(costs, *calibration, title + ", " + machine, options.measure), Status();
  nlohmann::ordered_json json{{"arch", options.architecture},
                              {"height", size.height},
                              {"width", size.width},
                              {"dtype", options.dtype},
                              {"threads", options.threads},
                              {"cpu", cpu_name()},
                              {"calibration",
                               {{"patch", calibration->patch},
                                {"linear_gmacs_per_s", rounded(calibration->linear_gmacs_per_s, 2)},
                                {"attention_gmacs_per_s", rounded(calibration->attention_gmacs_per_s, 2)},
                                {"other_ms_per_token", rounded(calibration->other_ms_per_token, 6)},
                                {"peak_gmacs_per_s", rounded(calibration->peak_gmacs_per_s, 2)}}}};
  for (const PatchCost& cost : costs) json["patches"].push_back(to_json(cost));
  print_json(json);
  return {};
}

}  // namespace

void add_plan(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("plan", "What a patch size costs: tokens, products, memory and time");
  command->add_option("--arch", options->architecture, "Encoder by timm's name without its patch size, e.g. vit_small")
      ->type_name("NAME")
      ->capture_default_str();
  command->add_option("--size", options->size, "Pictures in pixels, N or HxW")
      ->check(size_up_to(kMaxNetworkSide))
      ->type_name("SIZE")
      ->capture_default_str();
  command->add_option("--patch", options->patches, "Patch sizes to compare")
      ->delimiter(',')
      ->check(CLI::Range(1, 4096))
      ->type_name("P,…")
      ->capture_default_str();
  command->add_option("--dtype", options->dtype, "Arithmetic of the matrix products: int8 or f32")
      ->check(CLI::IsMember({"int8", "f32"}))
      ->type_name("TYPE")
      ->capture_default_str();
  add_threads(*command, options->threads);
  command->add_flag("--measure", options->measure, "Run a network of every patch size, too");
  command->add_option("-o", options->chart, "Draw the comparison")->type_name("F.svg");
  command->add_flag("--json", options->json, "One JSON object");
  command->callback([options] { run(*options).value(); });
}

}  // namespace vitrail::cli

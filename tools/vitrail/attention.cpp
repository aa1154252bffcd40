// vitrail attention: where a network looks. Attention rollout (Abnar & Zuidema 2020), or one layer and head, over the
// picture.
#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "drawing.hpp"
#include "inputs.hpp"
#include "panels.hpp"
#include "vitrail/codecs.hpp"

namespace vitrail::cli {
namespace {

struct Options {
  ModelOptions model;
  SizeOption size;
  PictureOptions pictures;
  std::optional<int> layer, head;
  std::string file, array;
  bool json = false;
};

/// What the rows of one head's map are read by: CLS, or all tokens alike where there is none.
std::vector<double> readers(const ModelInfo& info, const Output& output) {
  std::vector<double> weights(static_cast<std::size_t>(output.num_tokens));
  if (output.num_prefix > info.num_registers)
    weights[0] = 1;
  else
    std::fill(weights.begin(), weights.end(), 1.0 / output.num_tokens);
  return weights;
}

/// weights [T] · the mean of maps [heads, T, T] of a layer, or of one head.
std::vector<double> step(const std::vector<double>& weights, std::span<const float> maps,
                         std::optional<int> only_head) {
  const std::size_t T = weights.size(), heads = maps.size() / (T * T);
  const std::size_t first = only_head ? static_cast<std::size_t>(*only_head) : 0, count = only_head ? 1 : heads;
  std::vector<double> out(T);
  for (std::size_t h = first; h < first + count; ++h)
    for (std::size_t q = 0; q < T; ++q) {
      if (weights[q] == 0) continue;
      const float* row = maps.data() + (h * T + q) * T;
      const double weight = weights[q] / static_cast<double>(count);
      for (std::size_t t = 0; t < T; ++t) out[t] += weight * row[t];
    }
  return out;
}

/// What reaches the readers from each patch, [N]. Rollout follows the tokens back through all layers, half of each
/// passing by its attention on the residual stream.
std::vector<double> patch_weights(const ModelInfo& info, const Output& output, const Options& options) {
  std::vector<double> weights = readers(info, output);
  const std::size_t T = weights.size(), size = static_cast<std::size_t>(info.num_heads) * T * T;
  if (options.layer) {
    weights = step(weights, output.attentions, options.head);
  } else {
    for (std::size_t layer = output.attentions.size() / size; layer-- > 0;) {
      const auto attended = step(weights, output.attentions.subspan(layer * size, size), {});
      for (std::size_t t = 0; t < T; ++t) weights[t] = 0.5 * weights[t] + 0.5 * attended[t];
    }
  }
  return {weights.begin() + output.num_prefix, weights.end()};
}

/// Dark violet to light yellow (matplotlib's magma at its quarters).
Color heat(int value) {
  constexpr int stops[][3] = {{0, 0, 4}, {81, 18, 124}, {183, 55, 121}, {252, 137, 97}, {252, 253, 191}};
  const int part = std::min(value / 64, 3), at = value - 64 * part;
  const auto mix = [&](int c) {
    return static_cast<std::uint8_t>(stops[part][c] + (stops[part + 1][c] - stops[part][c]) * at / 64);
  };
  return {mix(0), mix(1), mix(2)};
}

Result<Image> overlay(const Image& picture, const std::vector<double>& weights, int rows, int columns) {
  const auto [low, high] = std::minmax_element(weights.begin(), weights.end());
  Image grid(columns, rows, PixelFormat::gray8);
  for (std::size_t i = 0; i < weights.size(); ++i)
    grid.row(static_cast<int>(i) / columns)[static_cast<int>(i) % columns] =
        static_cast<std::uint8_t>(*high > *low ? std::lround(255 * (weights[i] - *low) / (*high - *low)) : 0);
  const auto map = resize(grid, picture.width(), picture.height(), Resampling::bicubic);
  if (!map) return map.error();
  Image out = picture;
  for (int y = 0; y < out.height(); ++y)
    for (int x = 0; x < out.width(); ++x) {
      const Color color = heat(map->row(y)[x]);
      std::uint8_t* pixel = out.row(y) + 3 * static_cast<std::ptrdiff_t>(x);
      const int gray = (pixel[0] + 2 * pixel[1] + pixel[2]) / 4;  // colour is the map's
      const std::uint8_t target[] = {color.r, color.g, color.b};
      for (int c = 0; c < 3; ++c) pixel[c] = static_cast<std::uint8_t>((2 * gray + 3 * target[c]) / 5);
    }
  return out;
}

Result<bool> run(const Options& options) {
  const auto pictures = expand_inputs(options.pictures.inputs);
  if (!pictures) return pictures.error();
  if (const Status good = check_outputs({{"-o", options.file}, {"--save-weights", options.array}},
                                        {{"-m", options.model.folder}}, *pictures);
      !good)
    return good.error();
  const auto model = load_model(options.model);
  if (!model) return model.error();
  const int heads = model->info().num_heads, layers = model->info().num_layers;
  if (options.layer && (*options.layer < 0 || *options.layer >= layers))
    return Error{ErrorCode::invalid_argument,
                 "--layer: found " + std::to_string(*options.layer) + ", expected 0 to " + std::to_string(layers - 1)};
  if (options.head && (*options.head < 0 || *options.head >= heads))
    return Error{ErrorCode::invalid_argument,
                 "--head: found " + std::to_string(*options.head) + ", expected 0 to " + std::to_string(heads - 1)};
  SessionOptions wanted{.outputs = Outputs::attentions};
  if (options.layer) wanted.attention_layers = {*options.layer};
  auto session = make_session(*model, options.model, options.size, wanted);
  if (!session) return in_options(session.error(), {{"SessionOptions::attention_layers", "--layer"}});
  if (const Status good = Panels::check(pictures->size(), session->info()); !good) return good.error();

  std::string title = "rollout";
  if (options.layer) title = "layer " + std::to_string(*options.layer);
  if (options.head) title += " head " + std::to_string(*options.head);
  Panels panels({"picture", title});
  std::vector<float> all;  // [pictures, rows, columns]
  std::vector<std::size_t> shape;
  const std::size_t failures = for_each_picture(
      *pictures, options.pictures, *session, options.json, Keep::picture, [&](const Seen& seen) -> Status {
        auto picture = network_picture(session->info(), *seen.image, options.model.always_preprocess);
        if (!picture) return picture.error();
        const int rows = seen.output.grid_rows, columns = seen.output.grid_columns;
        const auto weights = patch_weights(session->info(), seen.output, options);
        auto drawn = overlay(*picture, weights, rows, columns);
        if (!drawn) return drawn.error();
        const auto peak = std::max_element(weights.begin(), weights.end()) - weights.begin();
        if (options.json)
          print_json({{"image", seen.path},
                      {"rows", rows},
                      {"columns", columns},
                      {"peak", {{"patch", peak}, {"row", peak / columns}, {"column", peak % columns}}},
                      {"weight", rounded(weights[static_cast<std::size_t>(peak)], 6)}});
        all.insert(all.end(), weights.begin(), weights.end());
        shape = {0, static_cast<std::size_t>(rows), static_cast<std::size_t>(columns)};
        std::vector<Image> row;
        row.push_back(*std::move(picture));
        row.push_back(*std::move(drawn));
        panels.add(std::move(row));
        return {};
      });
  if (panels.empty()) return false;
  if (const Status good = save_png(panels.draw(), options.file); !good) return good.error();
  shape[0] = all.size() / (shape[1] * shape[2]);
  if (!options.array.empty())
    if (const Status good = save_npy(options.array, shape, all); !good) return good.error();
  if (!options.json)
    std::fprintf(status_stream({options.file}), "%s  %s\n", printable(options.file).c_str(), title.c_str());
  return failures == 0;
}

}  // namespace

void add_attention(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("attention", "Show where a network looks");
  options->model.add_to(*command);
  options->size.add_to(*command);
  options->pictures.add_to(*command);
  auto* layer =
      command->add_option("--layer", options->layer, "One block, 0 … L − 1, instead of the rollout through all")
          ->type_name("L");
  command->add_option("--head", options->head, "One head of it, 0 …, instead of their mean")
      ->type_name("H")
      ->needs(layer);
  command
      ->add_option("-o", options->file,
                   "Picture to write: one row per picture, at most " + std::to_string(Panels::kMaxRows))
      ->required()
      ->type_name("F.png");
  command->add_option("--save-weights", options->array, "Write the patches' weights, f32 [pictures, rows, columns]")
      ->type_name("F.npy");
  command->add_flag("--json", options->json, "One JSON object per picture and line");
  command->callback([options, &exit_code] { exit_code = run(*options).value() ? kSuccess : kFailure; });
}

}  // namespace vitrail::cli

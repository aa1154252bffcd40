// vitrail features: the first three principal components of the patch tokens as red, green and blue, as in DINOv2's
// paper (Oquab et al. 2023). The components are those of all pictures together: one colour means one thing.
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "inputs.hpp"
#include "panels.hpp"
#include "pca.hpp"
#include "vitrail/codecs.hpp"

namespace vitrail::cli {
namespace {

struct Options {
  ModelOptions model;
  SizeOption size;
  PictureOptions pictures;
  std::string file;
  bool json = false;
};

/// Values of one component [rows, 3] → 0 … 255 between its extremes over all pictures.
void scale_to_bytes(const std::vector<float>& scores, std::size_t component, std::vector<std::uint8_t>& bytes) {
  float low = scores[component], high = low;
  for (std::size_t i = component; i < scores.size(); i += 3)
    low = std::min(low, scores[i]), high = std::max(high, scores[i]);
  const float range = high > low ? 255 / (high - low) : 0;
  for (std::size_t i = component; i < scores.size(); i += 3)
    bytes[i] = static_cast<std::uint8_t>((scores[i] - low) * range + 0.5f);
}

Result<bool> run(const Options& options) {
  const auto pictures = expand_inputs(options.pictures.inputs);
  if (!pictures) return pictures.error();
  if (const Status good = check_outputs({{"-o", options.file}}, {{"-m", options.model.folder}}, *pictures); !good)
    return good.error();
  const auto model = load_model(options.model);
  if (!model) return model.error();
  auto session = make_session(*model, options.model, options.size, {.outputs = Outputs::tokens});
  if (!session) return session.error();
  if (const Status good = Panels::check(pictures->size(), session->info()); !good) return good.error();

  std::vector<float> tokens;  // [pictures · N, D]
  std::vector<Image> seen_pictures;
  int rows = 0, columns = 0;
  const std::size_t failures = for_each_picture(
      *pictures, options.pictures, *session, options.json, Keep::picture, [&](const Seen& seen) -> Status {
        auto picture = network_picture(session->info(), *seen.image, options.model.always_preprocess);
        if (!picture) return picture.error();
        const auto patches = seen.output.patch_tokens();
        tokens.insert(tokens.end(), patches.begin(), patches.end());
        seen_pictures.push_back(*std::move(picture));
        rows = seen.output.grid_rows;
        columns = seen.output.grid_columns;
        return {};
      });
  if (seen_pictures.empty()) return false;

  const auto components = principal_components(tokens, static_cast<std::size_t>(model->info().embed_dim), 3);
  std::vector<std::uint8_t> bytes(components.scores.size());
  for (std::size_t c = 0; c < 3; ++c) scale_to_bytes(components.scores, c, bytes);
  Panels panels({"picture", "features"});
  const std::uint8_t* grid = bytes.data();
  for (Image& picture : seen_pictures) {
    const ImageView colors{grid, columns, rows, 3 * static_cast<std::ptrdiff_t>(columns), PixelFormat::rgb8};
    auto map = resize(colors, picture.width(), picture.height(), Resampling::bicubic);
    if (!map) return map.error();
    grid += 3 * static_cast<std::ptrdiff_t>(rows) * columns;
    std::vector<Image> row;
    row.push_back(std::move(picture));
    row.push_back(*std::move(map));
    panels.add(std::move(row));
  }
  if (const Status good = save_png(panels.draw(), options.file); !good) return good.error();

  nlohmann::ordered_json shares = nlohmann::ordered_json::array();
  std::string text;
  for (const double share : components.explained) {
    shares.push_back(rounded(share, 6));
    text += (text.empty() ? "" : " + ") + decimal(100 * share, 1);
  }
  if (options.json)
    print_json({{"output", options.file}, {"rows", rows}, {"columns", columns}, {"explained_variance", shares}});
  else
    std::fprintf(status_stream({options.file}),
                 "%s  %d × %d patches a picture, red + green + blue explain %s %% of their variance\n",
                 printable(options.file).c_str(), rows, columns, text.c_str());
  return failures == 0;
}

}  // namespace

void add_features(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("features", "Show the patches' first three principal components as colours");
  options->model.add_to(*command);
  options->size.add_to(*command);
  options->pictures.add_to(*command);
  command
      ->add_option("-o", options->file,
                   "Picture to write: one row per picture, at most " + std::to_string(Panels::kMaxRows))
      ->required()
      ->type_name("F.png");
  command->add_flag("--json", options->json, "The result as one line of JSON, after one for each picture that failed");
  command->callback([options, &exit_code] { exit_code = run(*options).value() ? kSuccess : kFailure; });
}

}  // namespace vitrail::cli

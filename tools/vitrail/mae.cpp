// vitrail mae: hides patches of a picture and lets a masked autoencoder (He et al. 2021) paint them.
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>

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
  std::optional<double> mask_ratio;
  unsigned seed = 0;
  std::string mask_file, file;
  bool json = false;
};

constexpr Color kHidden{150, 150, 150};

/// [N] or [rows, columns] of the patches; 1 hides one.
Result<std::vector<std::uint8_t>> read_mask(const std::string& path, const ModelInfo& info) {
  auto array = load_npy_u8(path);
  if (!array) return array.error();
  const auto rows = static_cast<std::size_t>(info.image_height / info.patch_height),
             columns = static_cast<std::size_t>(info.image_width / info.patch_width);
  using Shape = std::vector<std::size_t>;
  if (array->shape != Shape{rows * columns} && array->shape != Shape{rows, columns})
    return Error{ErrorCode::bad_file, path + ": found shape " + json_text(array->shape) + ", expected [" +
                                          std::to_string(rows * columns) + "] or [" + std::to_string(rows) + "," +
                                          std::to_string(columns) + "], a number for each patch"};
  for (const std::uint8_t value : array->data)
    if (value > 1)
      return Error{ErrorCode::bad_file,
                   path + ": found " + std::to_string(value) + ", expected 0 (seen) and 1 (hidden)"};
  return std::move(array->data);
}

Result<std::vector<std::uint8_t>> draw_mask(const Options& options, double ratio, int patches) {
  std::mt19937 random(options.seed);
  std::vector<float> noise(static_cast<std::size_t>(patches));
  for (float& value : noise) value = static_cast<float>(random() >> 8) * 0x1p-24f;
  auto masking = random_masking(noise, ratio);
  if (!masking) return masking.error();
  return std::move(masking->mask);
}

Image image_of(const Reconstruction& r, std::span<const std::uint8_t> pixels) {
  const PixelFormat format = r.channels == 1 ? PixelFormat::gray8 : PixelFormat::rgb8;
  return to_rgb({pixels.data(), r.width, r.height, static_cast<std::ptrdiff_t>(r.width) * r.channels, format});
}

Result<bool> run(const Options& options) {
  const auto pictures = expand_inputs(options.pictures.inputs);
  if (!pictures) return pictures.error();
  if (const Status good = check_outputs({{"-o", options.file}},
                                        {{"-m", options.model.folder}, {"--mask", options.mask_file}}, *pictures);
      !good)
    return good.error();
  const auto model = load_model(options.model);
  if (!model) return model.error();
  if (!model->info().has_decoder)
    return Error{ErrorCode::unsupported, options.model.folder + ": " + model->info().family +
                                             " has no decoder, expected a vit_mae with one (ViTMAEForPreTraining)"};
  auto session = make_session(*model, options.model, options.size, {.outputs = Outputs::none, .reconstruct = true});
  if (!session) return session.error();
  if (const Status good = Panels::check(pictures->size(), session->info()); !good) return good.error();
  const ModelInfo& info = session->info();
  const auto mask = options.mask_file.empty()
                        ? draw_mask(options, options.mask_ratio.value_or(info.mask_ratio), info.num_patches)
                        : read_mask(options.mask_file, info);
  if (!mask) return mask.error();

  Panels panels({"masked", "predicted", "whole"});
  const int columns = info.image_width / info.patch_width;
  const std::size_t failures = for_each_picture(
      *pictures, options.pictures, *session, options.json, Keep::picture, [&](const Seen& seen) -> Status {
        const auto made = session->reconstruct(*seen.image, *mask);
        if (!made) return made.error();
        auto masked = network_picture(info, *seen.image, options.model.always_preprocess);
        if (!masked) return masked.error();
        for (int i = 0; i < info.num_patches; ++i)
          if ((*mask)[static_cast<std::size_t>(i)])
            fill(*masked,
                 {i % columns * info.patch_width, i / columns * info.patch_height, info.patch_width, info.patch_height},
                 kHidden);
        if (options.json)
          print_json({{"image", seen.path},
                      {"patches", info.num_patches},
                      {"visible", made->num_visible},
                      {"encode_ms", rounded(session->timing().encode_ms, 3)}});
        std::vector<Image> row;
        row.push_back(*std::move(masked));
        row.push_back(image_of(*made, made->predicted));
        row.push_back(image_of(*made, made->whole));
        panels.add(std::move(row));
        return {};
      });
  if (panels.empty()) return false;
  if (const Status good = save_png(panels.draw(), options.file); !good) return good.error();
  if (!options.json)
    std::fprintf(status_stream({options.file}), "%s  %td of %d patches hidden\n", printable(options.file).c_str(),
                 std::count(mask->begin(), mask->end(), 1), info.num_patches);
  return failures == 0;
}

}  // namespace

void add_mae(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("mae", "Hide patches and let a masked autoencoder paint them");
  options->model.add_to(*command);
  options->size.add_to(*command);
  options->pictures.add_to(*command);
  auto* mask =
      command->add_option("--mask", options->mask_file, "Which patches are hidden: u8 [N] or [H/P, W/P], 1 hides")
          ->type_name("F.npy");
  command
      ->add_option("--mask-ratio", options->mask_ratio, "Share of the patches that is hidden; default: the network's")
      ->check(number_in(0, 1))
      ->type_name("R")
      ->excludes(mask);
  command->add_option("--seed", options->seed, "Other patches for another number")
      ->type_name("N")
      ->capture_default_str()
      ->excludes(mask);
  command
      ->add_option("-o", options->file,
                   "Picture to write: masked, predicted, whole; one row per picture, at most " +
                       std::to_string(Panels::kMaxRows))
      ->required()
      ->type_name("F.png");
  command->add_flag("--json", options->json, "One JSON object per picture and line");
  command->callback([options, &exit_code] { exit_code = run(*options).value() ? kSuccess : kFailure; });
}

}  // namespace vitrail::cli

// vitrail embed: the network's vectors for each picture, as one array.
#include <memory>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "inputs.hpp"
#include "vitrail/codecs.hpp"

namespace vitrail::cli {
namespace {

struct Options {
  ModelOptions model;
  SizeOption size;
  PictureOptions pictures;
  std::string what = "cls", file;
  bool json = false;
};

std::span<const float> pick(const Output& output, std::string_view what) {
  if (what == "pooled") return output.pooled;
  if (what == "image_embeds") return output.image_embeds;
  if (what == "registers") return output.registers;
  if (what == "tokens") return output.tokens;
  if (what == "patch_embed") return output.patch_embed;
  return output.cls;
}

Result<bool> run(const Options& options) {
  if (const Status good = check_output(options.file); !good) return good.error();
  const auto pictures = expand_inputs(options.pictures.inputs);
  if (!pictures) return pictures.error();
  const auto model = load_model(options.model.folder, dtype_from(options.model.dtype), options.model.threads);
  if (!model) return model.error();
  auto session = model->session({.threads = options.model.threads,
                                 .attention = dtype_from(options.model.attention),
                                 .image_height = options.size.height,
                                 .image_width = options.size.width,
                                 .keep_patch_embed = options.what == "patch_embed"});
  if (!session) return session.error();

  const ModelInfo& info = model->info();
  const auto width = static_cast<std::size_t>(options.what == "image_embeds" ? info.projection_dim : info.embed_dim);
  std::vector<std::size_t> shape;  // of one picture: [width] or [rows, width]

  std::vector<float> vectors;
  std::size_t count = 0;
  const std::size_t failures =
      for_each_picture(*pictures, options.pictures, *session, options.json, [&](const Seen& seen) -> Status {
        const std::span<const float> values = pick(seen.output, options.what);
        if (values.empty()) return Error{ErrorCode::unsupported, "the network has no " + options.what + " output"};
        const bool one_row = options.what == "cls" || options.what == "pooled" || options.what == "image_embeds";
        shape = one_row ? std::vector{width} : std::vector{values.size() / width, width};
        vectors.insert(vectors.end(), values.begin(), values.end());
        if (options.json) {
          print_json({{"image", seen.path},
                      {"row", count},
                      {"shape", shape},
                      {"timing_ms",
                       {{"decode", rounded(seen.decode_ms, 3)},
                        {"preprocess", rounded(seen.timing.preprocess_ms, 3)},
                        {"encode", rounded(seen.timing.encode_ms, 3)}}}});
        }
        ++count;
        return {};
      });
  if (count == 0) return false;  // an empty array would look like an answer

  shape.insert(shape.begin(), count);
  if (const Status good = save_npy(options.file, shape, vectors); !good) return good.error();
  if (!options.json) {
    std::string text;
    for (const std::size_t length : shape) text += (text.empty() ? "" : " × ") + std::to_string(length);
    std::printf("%s  %s  f32 %s\n", options.file.c_str(), options.what.c_str(), text.c_str());
  }
  return failures == 0;
}

}  // namespace

void add_embed(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("embed", "Turn pictures into vectors");
  options->model.add_to(*command);
  options->size.add_to(*command);
  options->pictures.add_to(*command);
  command
      ->add_option(
          "--output", options->what,
          "cls [D], pooled [D], image_embeds [projection], tokens [T, D] (after the last norm), registers [R, D] or "
          "patch_embed [N, D] (before positions)")
      ->check(CLI::IsMember({"cls", "pooled", "image_embeds", "tokens", "registers", "patch_embed"}))
      ->type_name("WHAT")
      ->capture_default_str();
  command->add_option("-o", options->file, "Array to write, f32 [pictures, ...]")->required()->type_name("F.npy");
  command->add_flag("--json", options->json, "One JSON object per picture and line");
  command->callback([options, &exit_code] {
    const auto good = run(*options);
    if (!good) report(good.error());
    exit_code = good && *good ? kSuccess : kFailure;
  });
}

}  // namespace vitrail::cli

// vitrail info: what a model is, and which kernels this machine runs it with.
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "inputs.hpp"
#include "machine.hpp"

namespace vitrail::cli {
namespace {

struct Options {
  std::string folder, dtype = "int8";
  int threads = 1;
  bool json = false;
};

// Kernels are chosen when a session is made, so a small random network stands in where no model is given.
Result<Model> any_model(const Options& options) {
  if (!options.folder.empty()) return load_model(options.folder, dtype_from(options.dtype), options.threads);
  return random_model("vit_tiny_patch16_224", dtype_from(options.dtype), options.threads);
}

const char* filter_name(Resampling filter) {
  constexpr const char* kNames[] = {"nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"};
  return kNames[static_cast<int>(filter)];
}

const char* backend_name(ResizeBackend backend) {
  constexpr const char* kNames[] = {"pillow", "torchvision", "torchvision_float"};
  return kNames[static_cast<int>(backend)];
}

nlohmann::ordered_json preprocess_json(const PreprocessConfig& p, int channels) {
  using Resize = PreprocessConfig::Resize;
  nlohmann::ordered_json json;
  if (p.resize == Resize::exact) json["resize"] = {p.resize_height, p.resize_width};
  if (p.resize == Resize::shortest_edge) json["resize_shortest_edge"] = p.resize_height;
  if (p.resize == Resize::cover) json["resize_cover"] = {p.resize_height, p.resize_width};
  if (p.resize == Resize::contain || p.resize == Resize::contain_truncated)
    json["resize_inside"] = {p.resize_height, p.resize_width};
  if (p.longest_edge > 0) json["resize_longest_edge"] = p.longest_edge;
  if (p.resize != Resize::none) json["resample"] = filter_name(p.resample);
  if (p.resize != Resize::none) json["backend"] = backend_name(p.backend);
  if (p.center_crop) json["center_crop"] = {p.crop_height, p.crop_width};
  if (p.fill != decltype(p.fill){}) json["fill"] = p.fill;
  json["rescale"] = p.rescale;
  for (int c = 0; c < std::min(channels, 4); ++c) {
    json["mean"].push_back(p.mean[static_cast<std::size_t>(c)]);
    json["std"].push_back(p.std[static_cast<std::size_t>(c)]);
  }
  return json;
}

nlohmann::ordered_json model_json(const std::string& folder, const ModelInfo& m) {
  return {{"model", folder},
          {"family", m.family},
          {"format", m.format},
          {"dtype", name_of(m.dtype)},
          {"image", {m.image_height, m.image_width, m.channels}},
          {"patch", {m.patch_height, m.patch_width}},
          {"num_patches", m.num_patches},
          {"num_tokens", m.num_tokens},
          {"num_registers", m.num_registers},
          {"projection_dim", m.projection_dim},
          {"embed_dim", m.embed_dim},
          {"num_layers", m.num_layers},
          {"num_heads", m.num_heads},
          {"mlp_dim", m.mlp_dim},
          {"has_decoder", m.has_decoder},
          {"mask_ratio", m.mask_ratio},
          {"num_labels", m.num_labels},
          {"has_label_names", !m.labels.empty()},
          {"parameters", m.parameters},
          {"macs", m.macs},
          {"weights_bytes", m.weights_bytes},
          {"preprocess", preprocess_json(m.preprocess, m.channels)}};
}

std::string preprocess_text(const PreprocessConfig& p) {
  using Resize = PreprocessConfig::Resize;
  const auto size = [](int height, int width) { return std::to_string(height) + " × " + std::to_string(width); };
  std::string text;
  if (p.resize == Resize::exact) text = "resize to " + size(p.resize_height, p.resize_width);
  if (p.resize == Resize::shortest_edge) text = "resize the shorter side to " + std::to_string(p.resize_height);
  if (p.resize == Resize::cover) text = "resize in proportion to cover " + size(p.resize_height, p.resize_width);
  if (p.resize == Resize::contain || p.resize == Resize::contain_truncated)
    text = "resize in proportion to fit into " + size(p.resize_height, p.resize_width);
  if (p.longest_edge > 0) text += ", the longer one at most to " + std::to_string(p.longest_edge);
  if (p.resize != Resize::none) text += std::string(", ") + filter_name(p.resample);
  if (p.resize != Resize::none && p.backend != ResizeBackend::pillow)
    text += std::string(" as ") + backend_name(p.backend);
  if (p.center_crop) text += std::string(text.empty() ? "" : ", ") + "crop " + size(p.crop_height, p.crop_width);
  return text.empty() ? "none" : text;
}

void print_model(const std::string& folder, const ModelInfo& m) {
  const auto number = [](int value) { return std::to_string(value); };
  using enum Table::Align;
  Table table({left, left});
  table.add({"model", folder});
  table.add({"family", m.family + ", " + m.format + " format"});
  table.add({"picture", number(m.image_height) + " × " + number(m.image_width) + " × " + number(m.channels)});
  table.add({"preprocess", preprocess_text(m.preprocess)});
  table.add({"patches", number(m.num_patches) + " of " + number(m.patch_height) + " × " + number(m.patch_width) + ", " +
                            number(m.num_tokens) + " tokens" +
                            (m.num_registers > 0 ? ", " + number(m.num_registers) + " of them registers" : "")});
  table.add({"network", number(m.num_layers) + " layers, " + number(m.num_heads) + " heads, width " +
                            number(m.embed_dim) + ", MLP " + number(m.mlp_dim)});
  if (m.projection_dim > 0) table.add({"projection", "image_embeds of " + number(m.projection_dim)});
  if (m.has_decoder)
    table.add({"decoder", "of masked patches, trained with " + decimal(100 * m.mask_ratio, 0) + " % hidden"});
  table.add(
      {"labels", m.num_labels == 0 ? "none" : number(m.num_labels) + (m.labels.empty() ? ", without names" : "")});
  table.add({"parameters", grouped(m.parameters)});
  table.add({"work", decimal(static_cast<double>(m.macs) / 1e9, 2) + " G multiply-accumulates a picture"});
  table.add({"weights", bytes_text(m.weights_bytes) + " as " + name_of(m.dtype)});
  table.print();
  std::printf("\n");
}

Status run(const Options& options) {
  const auto model = any_model(options);
  if (!model) return model.error();
  const auto session = model->session({.threads = options.threads});
  if (!session) return session.error();
  const std::string kernels = session->describe();

  if (options.json) {
    nlohmann::ordered_json json = nlohmann::ordered_json::object();
    if (!options.folder.empty()) {
      json = model_json(options.folder, model->info());
      json["session_bytes"] = session->memory_bytes();
    }
    json["threads"] = options.threads;
    json["cpu"] = cpu_name();
    json["kernels"] = lines_of(kernels);
    print_json(json);
    return {};
  }
  if (!options.folder.empty()) print_model(options.folder, model->info());
  using enum Table::Align;
  Table table({left, left});
  table.add({"cpu", cpu_name()});
  table.add({"threads", std::to_string(options.threads)});
  if (!options.folder.empty())
    table.add({"session", bytes_text(session->memory_bytes()) + " of activations and scratch"});
  const auto lines = lines_of(kernels);
  for (std::size_t i = 0; i < lines.size(); ++i) table.add({i == 0 ? "kernels" : "", lines[i]});
  table.print();
  return {};
}

}  // namespace

void add_info(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("info", "Describe a model, or this machine's CPU and kernels");
  command->add_option("-m,--model", options->folder, "Folder of a model; without it only the machine is described")
      ->type_name("MODEL");
  add_threads(*command, options->threads);
  command->add_option("--dtype", options->dtype, "Arithmetic of the matrix products: int8 or f32")
      ->check(CLI::IsMember({"int8", "f32"}))
      ->type_name("TYPE")
      ->capture_default_str();
  command->add_flag("--json", options->json, "One JSON object");
  command->callback([options] { run(*options).value(); });
}

}  // namespace vitrail::cli

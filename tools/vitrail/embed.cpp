// vitrail embed: what the network makes of each picture, as arrays.
#include <algorithm>
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
  std::vector<std::string> what = {"cls"};
  std::vector<int> layers;
  std::string file;
  bool no_norm = false, json = false;
};

/// One thing --output can name.
struct Kind {
  const char* name;
  const char* other;  ///< what transformers or DINOv2 call it
  Outputs outputs;
  const char* shape;
};

constexpr Kind kKinds[] = {
    {"logits", "", Outputs::logits, "[labels]"},
    {"cls", "x_norm_clstoken", Outputs::cls, "[D]"},
    {"pooled", "pooler_output", Outputs::pooled, "[D]"},
    {"image_embeds", "", Outputs::image_embeds, "[projection]"},
    {"tokens", "last_hidden_state", Outputs::tokens, "[T, D]"},
    {"patch_tokens", "x_norm_patchtokens", Outputs::tokens, "[N, D]"},
    {"grid", "", Outputs::tokens, "[H/P, W/P, D]"},
    {"registers", "x_norm_regtokens", Outputs::registers, "[R, D]"},
    {"patch_embed", "", Outputs::patch_embed, "[N, D]"},
    {"hidden_states", "", Outputs::hidden_states, "[L + 1, T, D]"},
    {"intermediate_layers", "get_intermediate_layers", Outputs::intermediate_layers, "[layers, T, D]"},
    {"attentions", "", Outputs::attentions, "[layers, heads, T, T]"},
};

const Kind* find_kind(const std::string& name) {
  const auto* found = std::find_if(std::begin(kKinds), std::end(kKinds),
                                   [&](const Kind& kind) { return name == kind.name || name == kind.other; });
  return found == std::end(kKinds) || name.empty() ? nullptr : found;
}

/// The array of one picture and its shape.
struct Part {
  std::span<const float> values;
  std::vector<std::size_t> shape;
};

Part part_of(const Output& output, const Kind& kind, const ModelInfo& info) {
  const auto D = static_cast<std::size_t>(output.embed_dim), T = static_cast<std::size_t>(output.num_tokens);
  const auto rows = static_cast<std::size_t>(output.grid_rows), columns = static_cast<std::size_t>(output.grid_columns);
  const std::string_view name = kind.name;
  const auto stacked = [](std::span<const float> values, std::vector<std::size_t> shape) {
    std::size_t one = 1;
    for (const std::size_t length : shape) one *= length;
    shape.insert(shape.begin(), values.size() / one);
    return Part{values, shape};
  };
  if (name == "logits") return {output.logits, {output.logits.size()}};
  if (name == "cls") return {output.cls, {D}};
  if (name == "pooled") return {output.pooled, {D}};
  if (name == "image_embeds") return {output.image_embeds, {output.image_embeds.size()}};
  if (name == "tokens") return {output.tokens, {T, D}};
  if (name == "patch_tokens") return {output.patch_tokens(), {rows * columns, D}};
  if (name == "grid") return {output.patch_tokens(), {rows, columns, D}};
  if (name == "registers") return stacked(output.registers, {D});
  if (name == "patch_embed") return {output.patch_embed, {rows * columns, D}};
  if (name == "hidden_states") return stacked(output.hidden_states, {T, D});
  if (name == "intermediate_layers") return stacked(output.intermediate_layers, {T, D});
  return stacked(output.attentions, {static_cast<std::size_t>(info.num_heads), T, T});
}

/// The arrays of all pictures, under the names they were asked for.
class Collector {
 public:
  explicit Collector(const Options& options, const ModelInfo& info) : options_(options), info_(info) {
    for (const std::string& name : options.what) kinds_.push_back(find_kind(name));
    arrays_.resize(kinds_.size());
  }

  Status see(const Seen& seen) {
    nlohmann::ordered_json shapes;
    for (std::size_t i = 0; i < kinds_.size(); ++i) {
      const Part part = part_of(seen.output, *kinds_[i], info_);
      arrays_[i].shape = part.shape;
      arrays_[i].values.insert(arrays_[i].values.end(), part.values.begin(), part.values.end());
      shapes[options_.what[i]] = part.shape;
    }
    if (options_.json) {
      print_json({{"image", seen.path},
                  {"row", pictures_.size()},
                  {"shape", shapes},
                  {"timing_ms",
                   {{"decode", rounded(seen.decode_ms, 3)},
                    {"preprocess", rounded(seen.timing.preprocess_ms, 3)},
                    {"encode", rounded(seen.timing.encode_ms, 3)}}}});
    }
    pictures_.push_back(seen.path);
    return {};
  }

  bool empty() const { return pictures_.empty(); }

  Status save() {
    std::vector<NamedArray> named;
    for (std::size_t i = 0; i < arrays_.size(); ++i) {
      arrays_[i].shape.insert(arrays_[i].shape.begin(), pictures_.size());
      named.push_back({options_.what[i], arrays_[i].shape, arrays_[i].values});
    }
    if (!options_.file.ends_with(".safetensors")) return save_npy(options_.file, named[0].shape, named[0].data);
    const std::pair<std::string, std::string> metadata[] = {{"images", json_text(pictures_)}};
    return save_safetensors(options_.file, named, metadata);
  }

  void print() const {
    for (std::size_t i = 0; i < arrays_.size(); ++i) {
      std::string text;
      for (const std::size_t length : arrays_[i].shape) text += (text.empty() ? "" : " × ") + std::to_string(length);
      std::fprintf(status_stream({options_.file}), "%s  %s  f32 %s\n", printable(options_.file).c_str(),
                   options_.what[i].c_str(), text.c_str());
    }
  }

 private:
  struct Array {
    std::vector<std::size_t> shape;
    std::vector<float> values;
  };
  const Options& options_;
  const ModelInfo& info_;
  std::vector<const Kind*> kinds_;
  std::vector<Array> arrays_;
  std::vector<std::string> pictures_;
};

/// The kinds of these outputs; unless said otherwise, all.
std::string known_kinds(Outputs given = static_cast<Outputs>(~0u)) {
  std::string text;
  for (const Kind& kind : kKinds) {
    if (!has(given, kind.outputs)) continue;
    text += std::string(text.empty() ? "" : ", ") + kind.name + " " + kind.shape;
    if (*kind.other) text += std::string(" (or ") + kind.other + ")";
  }
  return text;
}

Result<bool> run(const Options& options) {
  const auto pictures = expand_inputs(options.pictures.inputs);
  if (!pictures) return pictures.error();
  if (const Status good = check_outputs({{"-o", options.file}}, {{"-m", options.model.folder}}, *pictures); !good)
    return good.error();
  const auto model = load_model(options.model);
  if (!model) return model.error();
  const Outputs given = outputs_of(model->info());
  Outputs outputs = Outputs::none;
  for (const std::string& name : options.what) {
    const Outputs wanted = find_kind(name)->outputs;
    if (!has(given, wanted))
      return Error{ErrorCode::unsupported, "--output: found " + name + ", which this network (" + model->info().family +
                                               ") does not have, expected some of " + known_kinds(given)};
    outputs = outputs | wanted;
  }
  const auto layers_for = [&](Outputs what) { return has(outputs, what) ? options.layers : std::vector<int>(); };
  auto session = make_session(*model, options.model, options.size,
                              {.outputs = outputs,
                               .layers = layers_for(Outputs::intermediate_layers),
                               .norm_layers = !options.no_norm,
                               .attention_layers = layers_for(Outputs::attentions)});
  if (!session)
    return in_options(session.error(), {{"SessionOptions::layers", "--layers"},
                                        {"SessionOptions::attention_layers", "--layers"},
                                        {"Outputs::intermediate_layers", "--output intermediate_layers"}});

  Collector collector(options, session->info());
  const std::size_t failures = for_each_picture(*pictures, options.pictures, *session, options.json, Keep::nothing,
                                                [&](const Seen& seen) { return collector.see(seen); });
  if (collector.empty()) return false;  // an empty array would look like an answer
  if (const Status good = collector.save(); !good) return good.error();
  if (!options.json) collector.print();
  return failures == 0;
}

/// What CLI11 cannot know: a mistake is one of usage.
std::string check_usage(const Options& options) {
  for (const std::string& name : options.what)
    if (!find_kind(name)) return "--output: found " + name + ", expected some of " + known_kinds();
  for (auto at = options.what.begin(); at != options.what.end(); ++at)
    if (std::find(options.what.begin(), at, *at) != at) return "--output: found " + *at + " twice";
  const auto writes = [&](Outputs some) {
    return std::any_of(options.what.begin(), options.what.end(),
                       [&](const std::string& name) { return has(find_kind(name)->outputs, some); });
  };
  if (!options.layers.empty() && !writes(Outputs::intermediate_layers | Outputs::attentions))
    return "--layers: found without an output that has layers, expected --output intermediate_layers or attentions";
  if (options.no_norm && !writes(Outputs::intermediate_layers))
    return "--no-norm: found without the output it is for, expected --output intermediate_layers";
  if (options.what.size() > 1 && !options.file.ends_with(".safetensors"))
    return "-o: found " + options.file + ", expected a name that ends in .safetensors for more than one output";
  return {};
}

}  // namespace

void add_embed(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("embed", "Turn pictures into vectors");
  options->model.add_to(*command);
  options->size.add_to(*command);
  options->pictures.add_to(*command);
  command->add_option("--output", options->what, "What to write, separated by commas: " + known_kinds())
      ->delimiter(',')
      ->type_name("WHAT")
      ->capture_default_str();
  command->add_option("--layers", options->layers, "Blocks of intermediate_layers and attentions, 0 … L − 1")
      ->delimiter(',')
      ->type_name("N,N…");
  command->add_flag("--no-norm", options->no_norm, "intermediate_layers without the final LayerNorm");
  command
      ->add_option("-o", options->file,
                   "Array to write, f32 [pictures, …]; in a .safetensors several, and the pictures' names")
      ->required()
      ->type_name("F.npy|F.safetensors");
  command->add_flag("--json", options->json, "One JSON object per picture and line");
  command->callback([options, &exit_code] {
    if (const std::string wrong = check_usage(*options); !wrong.empty()) throw CLI::ValidationError(wrong);
    exit_code = run(*options).value() ? kSuccess : kFailure;
  });
}

}  // namespace vitrail::cli

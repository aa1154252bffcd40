// vitrail similar: the pictures whose embeddings point most nearly where the first one's does.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "commands.hpp"
#include "inputs.hpp"
#include "sheet.hpp"
#include "vitrail/codecs.hpp"

namespace vitrail::cli {
namespace {

struct Options {
  ModelOptions model;
  SizeOption size;
  PictureOptions pictures;
  std::string what, file;
  int k = 10;
  bool json = false;
};

struct Neighbour {
  std::string path;
  double similarity = 0;
};

constexpr struct {
  const char* name;
  Outputs output;
} kVectors[] = {{"image_embeds", Outputs::image_embeds}, {"pooled", Outputs::pooled}, {"cls", Outputs::cls}};

/// The vectors to compare: those --output names, or the first of kVectors that the network has.
Result<std::string> choose_vectors(const std::string& wanted, const ModelInfo& info) {
  std::string given;
  for (const auto& [name, output] : kVectors) {
    if (!has(outputs_of(info), output)) continue;
    if (wanted.empty() || wanted == name) return std::string(name);
    given += std::string(given.empty() ? "" : ", ") + name;
  }
  return Error{ErrorCode::unsupported, "--output: found " + wanted + ", which this network (" + info.family +
                                           ") does not have, expected one of " + given};
}

std::span<const float> pick(const Output& output, std::string_view what) {
  if (what == "image_embeds") return output.image_embeds;
  return what == "cls" ? output.cls : output.pooled;
}

double cosine(std::span<const float> a, std::span<const float> b) {
  double ab = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    ab += static_cast<double>(a[i]) * b[i];
    aa += static_cast<double>(a[i]) * a[i];
    bb += static_cast<double>(b[i]) * b[i];
  }
  return aa > 0 && bb > 0 ? ab / std::sqrt(aa * bb) : 0;
}

/// Each path once, under the first of its spellings, and the first file under no other name.
void drop_repeated(std::vector<std::string>& paths) {
  namespace fs = std::filesystem;
  const std::string first = paths.front();
  std::set<fs::path> seen;
  std::erase_if(paths, [&](const std::string& path) {
    std::error_code error, ignored;
    const auto real = fs::canonical(path, error);
    if (error) return false;
    return !seen.insert(real).second || (seen.size() > 1 && fs::equivalent(path, first, ignored));
  });
}

/// The query and its neighbours on one sheet; their pictures are read once more, so that only these few are kept.
Status draw(const std::string& query, const std::vector<Neighbour>& nearest, const Options& options) {
  ContactSheet sheet;
  LoadImageOptions decoding;
  decoding.apply_exif = !options.pictures.no_exif;
  const auto add = [&](const std::string& path, const std::string& value, double fraction) -> Status {
    const auto image = load_image(path, decoding);
    if (!image) return image.error();
    return sheet.add(*image, std::filesystem::path(path).filename().string(), value, fraction);
  };
  if (const Status good = add(query, "this picture", 0); !good) return good;
  for (const Neighbour& each : nearest) {
    if (sheet.full()) {
      report("note: " + options.file + " shows the first " + std::to_string(ContactSheet::kMaxPictures - 1) + " of " +
             std::to_string(nearest.size()) + " pictures");
      break;
    }
    if (const Status good = add(each.path, decimal(each.similarity, 4), std::clamp(each.similarity, 0.0, 1.0)); !good)
      return good;
  }
  return save_png(sheet.draw(), options.file);
}

Result<bool> run(const Options& options) {
  auto pictures = expand_inputs(options.pictures.inputs);
  if (!pictures) return pictures.error();
  if (const Status good = check_outputs({{"-o", options.file}}, {{"-m", options.model.folder}}, *pictures); !good)
    return good.error();
  const std::string query = pictures->front();
  drop_repeated(*pictures);
  if (pictures->size() < 2)
    return Error{ErrorCode::invalid_argument,
                 "-i: found one picture (" + query + "), expected it and others to compare"};

  const auto model = load_model(options.model);
  if (!model) return model.error();
  const auto what = choose_vectors(options.what, model->info());
  if (!what) return what.error();
  auto session = make_session(*model, options.model, options.size,
                              {.outputs = Outputs::cls | Outputs::pooled | Outputs::image_embeds});
  if (!session) return session.error();
  std::vector<float> wanted;
  std::vector<Neighbour> nearest;
  const std::size_t failures = for_each_picture(*pictures, options.pictures, *session, options.json, Keep::nothing,
                                                [&](const Seen& seen) -> Status {
                                                  const auto vector = pick(seen.output, *what);
                                                  if (seen.path == query)
                                                    wanted.assign(vector.begin(), vector.end());
                                                  else if (!wanted.empty())
                                                    nearest.push_back({seen.path, cosine(wanted, vector)});
                                                  return {};
                                                });
  if (wanted.empty() || nearest.empty()) return false;

  std::stable_sort(nearest.begin(), nearest.end(),
                   [](const Neighbour& a, const Neighbour& b) { return a.similarity > b.similarity; });
  nearest.resize(std::min(nearest.size(), static_cast<std::size_t>(options.k)));
  using enum Table::Align;
  Table table({right, left, right, left});
  for (std::size_t i = 0; i < nearest.size(); ++i) {
    const auto& [path, similarity] = nearest[i];
    if (options.json)
      print_json({{"image", query}, {"rank", i + 1}, {"neighbour", path}, {"similarity", rounded(similarity, 6)}});
    else
      table.add({std::to_string(i + 1), path, decimal(similarity, 4), bar(similarity, 24)});
  }
  table.print();
  if (!options.file.empty())
    if (const Status good = draw(query, nearest, options); !good) return good.error();
  return failures == 0;
}

}  // namespace

void add_similar(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("similar", "Find the pictures most like the first one");
  options->model.add_to(*command);
  options->size.add_to(*command);
  options->pictures.add_to(*command);
  command->add_option("-k,--top", options->k, "Pictures to list")
      ->check(CLI::Range(1, 1'000'000))
      ->type_name("K")
      ->capture_default_str();
  command
      ->add_option("--output", options->what,
                   "The vectors to compare by their cosine: cls, pooled or image_embeds (unless said otherwise: "
                   "image_embeds where there are some, else pooled)")
      ->check(CLI::IsMember({"cls", "pooled", "image_embeds"}))
      ->type_name("WHAT");
  command->add_option("-o", options->file, "Draw the picture and those found on one sheet")->type_name("F.png");
  command->add_flag("--json", options->json, "One JSON object per picture found and line");
  command->callback([options, &exit_code] { exit_code = run(*options).value() ? kSuccess : kFailure; });
}

}  // namespace vitrail::cli

// vitrail classify: the best labels of each picture.
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>

#include "commands.hpp"
#include "inputs.hpp"
#include "sheet.hpp"
#include "tools/codecs/codec.hpp"
#include "vitrail/codecs.hpp"

namespace vitrail::cli {
namespace {

struct Options {
  ModelOptions model;
  SizeOption size;
  PictureOptions pictures;
  int k = 5;
  bool json = false;
  std::string logits_file, labels_file, sheet_file;
};

/// One label per line; there must be as many as the network has answers.
Result<std::vector<std::string>> read_labels(const std::string& path, int expected) {
  constexpr std::uint64_t kMaxBytes = std::uint64_t{1} << 24;
  const auto bytes = codec::read_file(path, kMaxBytes);
  if (!bytes) return bytes.error();
  std::istringstream text(std::string(bytes->begin(), bytes->end()));
  if (text.view().starts_with("\xef\xbb\xbf")) text.ignore(3);  // how some editors begin UTF-8
  std::vector<std::string> labels;
  for (std::string line; std::getline(text, line);) {
    if (line.ends_with('\r')) line.pop_back();
    labels.push_back(line);
  }
  while (!labels.empty() && labels.back().empty()) labels.pop_back();
  if (labels.size() == static_cast<std::size_t>(expected)) return labels;
  return Error{ErrorCode::bad_file, path + ": " + std::to_string(labels.size()) + " labels, expected " +
                                        std::to_string(expected) + " as the model has"};
}

std::string label_text(const std::vector<std::string>& labels, int index) {
  return labels.empty() ? "#" + std::to_string(index) : labels[static_cast<std::size_t>(index)];
}

std::string percent(double probability) { return decimal(probability * 100, 1) + " %"; }

class Classifier {
 public:
  Classifier(const Options& options, std::vector<std::string> labels, bool single)
      : options_(options), labels_(std::move(labels)), single_(single) {}

  Status see(const Seen& seen) {
    const auto best = top_k(seen.output.logits, options_.k);
    if (!options_.logits_file.empty())
      logits_.insert(logits_.end(), seen.output.logits.begin(), seen.output.logits.end());
    if (options_.json)
      print(seen, best);
    else
      add_row(seen, best);
    ++count_;
    if (options_.sheet_file.empty()) return {};
    if (sheet_.full()) return ++left_out_, Status();
    return sheet_.add(*seen.image, label_text(labels_, best[0].index), percent(best[0].probability),
                      best[0].probability);
  }

  /// What comes after the last picture. Returns whether all went well.
  bool finish() {
    if (!options_.json && count_ > 0) {
      table_.print();
      if (single_ && options_.k > 1) std::printf("\n"), best_.print(2);
    }
    bool good = true;
    const auto check = [&](const Status& status) {
      if (!status) report(status.error()), good = false;
    };
    if (!options_.logits_file.empty() && count_ > 0) {  // an empty array would look like an answer
      const std::size_t shape[] = {count_, logits_.size() / count_};
      check(save_npy(options_.logits_file, shape, logits_));
    }
    if (!options_.sheet_file.empty() && !sheet_.empty()) check(save_png(sheet_.draw(), options_.sheet_file));
    if (left_out_ > 0)
      report("note: " + options_.sheet_file + " shows the first " + std::to_string(ContactSheet::kMaxPictures) +
             " pictures, not the other " + std::to_string(left_out_));
    return good;
  }

 private:
  void print(const Seen& seen, const std::vector<Prediction>& best) const {
    auto top = nlohmann::ordered_json::array();
    for (const Prediction& p : best) {
      nlohmann::ordered_json entry{{"index", p.index}};
      if (!labels_.empty()) entry["label"] = label_text(labels_, p.index);
      entry["probability"] = rounded(p.probability, 6);
      top.push_back(entry);
    }
    print_json({{"image", seen.path},
                {"row", count_},
                {"top", top},
                {"timing_ms",
                 {{"decode", rounded(seen.decode_ms, 3)},
                  {"preprocess", rounded(seen.timing.preprocess_ms, 3)},
                  {"encode", rounded(seen.timing.encode_ms, 3)}}}});
  }

  void add_row(const Seen& seen, const std::vector<Prediction>& best) {
    const double total = seen.decode_ms + seen.timing.preprocess_ms + seen.timing.encode_ms;
    table_.add({seen.path, shortened(label_text(labels_, best[0].index), 44), percent(best[0].probability),
                decimal(total, 1) + " ms"});
    if (!single_) return;
    for (const Prediction& p : best)
      best_.add({"#" + std::to_string(p.index), labels_.empty() ? "" : shortened(label_text(labels_, p.index), 44),
                 percent(p.probability), bar(p.probability, 24)});
  }

  const Options& options_;
  const std::vector<std::string> labels_;
  const bool single_;  // one picture only: all k answers are shown
  using enum Table::Align;
  Table table_{{left, left, right, right}};
  Table best_{{right, left, right, left}};
  ContactSheet sheet_;
  std::vector<float> logits_;  // [pictures, num_labels]
  std::size_t count_ = 0, left_out_ = 0;
};

Result<bool> run(const Options& options) {
  const auto pictures = expand_inputs(options.pictures.inputs);
  if (!pictures) return pictures.error();
  if (const Status good = check_outputs({{"--save-logits", options.logits_file}, {"--annotate", options.sheet_file}},
                                        {{"-m", options.model.folder}, {"--labels", options.labels_file}}, *pictures);
      !good)
    return good.error();
  const auto model = load_model(options.model);
  if (!model) return model.error();
  const ModelInfo& info = model->info();
  if (info.num_labels == 0)
    return Error{ErrorCode::unsupported, options.model.folder + ": has no classification head; try vitrail embed"};
  auto labels = options.labels_file.empty() ? Result<std::vector<std::string>>(info.labels)
                                            : read_labels(options.labels_file, info.num_labels);
  if (!labels) return labels.error();
  auto session = make_session(*model, options.model, options.size, {.outputs = Outputs::logits});
  if (!session) return session.error();

  Classifier classifier(options, *std::move(labels), pictures->size() == 1);
  const Keep keep = options.sheet_file.empty() ? Keep::nothing : Keep::picture;
  const std::size_t failures = for_each_picture(*pictures, options.pictures, *session, options.json, keep,
                                                [&](const Seen& seen) { return classifier.see(seen); });
  return classifier.finish() && failures == 0;
}

}  // namespace

void add_classify(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("classify", "Tell what pictures show");
  options->model.add_to(*command);
  options->size.add_to(*command);
  options->pictures.add_to(*command);
  command
      ->add_option("-k,--top", options->k,
                   "Answers per picture; of several pictures, the text shows the best one each, and --json all")
      ->check(CLI::Range(1, 1'000'000))
      ->type_name("K")
      ->capture_default_str();
  command->add_flag("--json", options->json, "One JSON object per picture and line");
  command->add_option("--labels", options->labels_file, "Names of the answers, one per line")->type_name("F.txt");
  command->add_option("--save-logits", options->logits_file, "Write all logits, f32 [pictures, labels]")
      ->type_name("F.npy");
  command->add_option("--annotate", options->sheet_file, "Draw the pictures with their labels on one sheet")
      ->type_name("F.png");
  command->callback([options, &exit_code] { exit_code = run(*options).value() ? kSuccess : kFailure; });
}

}  // namespace vitrail::cli

#include "inputs.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "affinity.hpp"
#include "vitrail/codecs.hpp"

namespace vitrail::cli {
namespace fs = std::filesystem;
namespace {

bool is_picture(const fs::path& path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  static constexpr std::string_view kKnown[] = {".jpg", ".jpeg", ".png", ".webp", ".npy", ".ppm", ".pgm"};
  return std::find(std::begin(kKnown), std::end(kKnown), extension) != std::end(kKnown);
}

class Stopwatch {
 public:
  void start() { started_ = Clock::now(); }
  void stop() { passed_ += Clock::now() - started_; }
  double ms() const { return std::chrono::duration<double, std::milli>(passed_).count(); }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point started_;
  Clock::duration passed_{};
};

/// The rows of another source, and how long they took.
class TimedRows : public RowSource {
 public:
  TimedRows(RowSource& rows, Stopwatch& watch)
      : RowSource(rows.width(), rows.height(), rows.format()), rows_(rows), watch_(watch) {}
  Result<const std::uint8_t*> next_row() override {
    watch_.start();
    auto row = rows_.next_row();
    watch_.stop();
    return row;
  }

 private:
  RowSource& rows_;
  Stopwatch& watch_;
};

LoadOptions load_options(DType dtype, int threads, Progress& progress) {
  LoadOptions options;
  options.dtype = dtype;
  options.threads = threads;
  options.progress = [&progress](std::uint64_t done, std::uint64_t total) {
    const double fraction = total > 0 ? static_cast<double>(done) / static_cast<double>(total) : 1;
    progress.update(fraction, bytes_text(done) + " / " + bytes_text(total));
  };
  return options;
}

/// Whether writing `path` would replace the file `other`, or in the folder `other` what a model is read from. Devices
/// and pipes replace nothing.
bool replaces(const fs::path& path, const fs::path& other) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) {
    const fs::path whole = fs::weakly_canonical(fs::absolute(path, error), error);
    return !error && whole == fs::weakly_canonical(fs::absolute(other, error), error);
  }
  if (!fs::is_regular_file(status)) return false;
  if (!fs::is_directory(other, error)) return fs::equivalent(path, other, error);
  const std::string name = path.filename().string();
  const bool is_read =
      name.ends_with("config.json") || (name.starts_with("model") && name.find(".safetensors") != name.npos);
  return is_read && fs::equivalent(path.has_parent_path() ? path.parent_path() : ".", other, error);
}

/// A picture, whole or row by row.
struct Opened {
  std::optional<Image> image;
  std::unique_ptr<RowSource> rows;
};

Result<Opened> open(const std::string& path, const LoadImageOptions& options, Keep keep) {
  if (keep == Keep::nothing) {
    auto rows = open_image(path, options);
    if (!rows) return rows.error();
    return Opened{std::nullopt, *std::move(rows)};
  }
  auto image = load_image(path, options);
  if (!image) return image.error();
  return Opened{*std::move(image), nullptr};
}

/// Weights that are finite may still lead out of f32.
Status check_finite(const Output& output) {
  const std::pair<const char*, std::span<const float>> arrays[] = {
      {"logits", output.logits},
      {"tokens", output.tokens},
      {"cls", output.cls},
      {"registers", output.registers},
      {"pooled", output.pooled},
      {"image_embeds", output.image_embeds},
      {"patch_embed", output.patch_embed},
      {"hidden_states", output.hidden_states},
      {"intermediate_layers", output.intermediate_layers},
      {"attentions", output.attentions},
  };
  for (const auto& [name, values] : arrays)
    for (const float x : values)
      if (!std::isfinite(x))
        return Error{ErrorCode::bad_file, std::string("the network's ") + name +
                                              " are not finite: its weights lead out of the range of f32"};
  return {};
}

}  // namespace

std::optional<Size> parse_size(std::string_view text, int most) {
  const auto number = [most](std::string_view digits) -> std::optional<int> {
    int value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc() || end != digits.data() + digits.size() || value < 1 || value > most) return std::nullopt;
    return value;
  };
  const std::size_t x = text.find('x');
  const auto height = number(text.substr(0, x));
  const auto width = x == text.npos ? height : number(text.substr(x + 1));
  if (!height || !width) return std::nullopt;
  return Size{*height, *width};
}

CLI::Validator size_up_to(int most) {
  return CLI::Validator(
      [most](const std::string& text) {
        return parse_size(text, most) ? std::string()
                                      : "found " + text + ", expected HxW or N, each 1 to " + std::to_string(most);
      },
      "");
}

void PictureOptions::add_to(CLI::App& command) {
  command
      .add_option("-i,--image", inputs,
                  "Pictures: files (JPEG, PNG, WebP, PPM/PGM, .npy of u8 HxWxC) or folders of them")
      ->required()
      ->type_name("IMAGE");
  command.add_flag("--no-exif", no_exif, "Do not turn pictures as their EXIF orientation says");
}

void SizeOption::add_to(CLI::App& command) {
  const auto read = [this](const std::vector<std::string>& texts) {
    const Size size = *parse_size(texts.at(0));
    height = size.height;
    width = size.width;
    return true;
  };
  command
      .add_option(
          "--size", read,
          "Height and width of the pictures the network sees, or both in one number; multiples of its patch size")
      ->check(size_up_to(kMaxNetworkSide))
      ->type_name("HxW|N");
}

void ModelOptions::add_to(CLI::App& command) {
  command.add_option("-m,--model", folder, "Folder with config.json and model.safetensors (Hugging Face or timm)")
      ->required()
      ->type_name("MODEL");
  add_threads(command, threads);
  command.add_option("--dtype", dtype, "Arithmetic of the matrix products: int8 or f32")
      ->check(CLI::IsMember({"int8", "f32"}))
      ->type_name("TYPE")
      ->capture_default_str();
  add_attention(command, attention);
  command.add_flag("--always-preprocess", always_preprocess,
                   "Resize and crop pictures of exactly the network's size, too, as Python does; otherwise they are "
                   "taken as they are");
}

void add_attention(CLI::App& command, std::string& attention) {
  command.add_option("--attention", attention, "Arithmetic of the attention products of an int8 network: int8 or f32")
      ->check(CLI::IsMember({"int8", "f32"}))
      ->type_name("TYPE")
      ->capture_default_str();
}

void add_threads(CLI::App& command, int& threads) {
  const auto in_range = [](const std::string& text) -> std::string {
    int value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool good = error == std::errc() && end == text.data() + text.size() && value >= 1 && value <= 256;
    return good ? std::string() : "found " + text + ", expected 1 to 256";
  };
  const auto* option =
      command
          .add_option(
              "-t,--threads", threads,
              "Worker threads, 1 to 256, by default one per core of --affinity; the answer does not depend on it")
          ->check(CLI::Validator(in_range, ""))
          ->type_name("N");
  const auto cores = std::make_shared<std::string>("big");
  command.add_option("--affinity", *cores, "Cores to run on: all, big, little, a mask (0xf0) or a list (0,4-7)")
      ->type_name("CORES")
      ->capture_default_str();
  command.parse_complete_callback([&threads, option, cores] {
    const auto count = run_on(*cores);
    if (!count) throw CLI::ValidationError(count.error().message);
    if (option->count() == 0) threads = std::min(*count, 256);
  });
}

DType dtype_from(std::string_view name) { return name == "f32" ? DType::f32 : DType::int8; }

const char* name_of(DType dtype) { return dtype == DType::f32 ? "f32" : "int8"; }

Result<std::vector<std::string>> expand_inputs(const std::vector<std::string>& inputs) {
  std::vector<std::string> pictures;
  for (const std::string& input : inputs) {
    std::error_code error;
    if (!fs::is_directory(input, error)) {
      pictures.push_back(input);  // one that is not there fails like any picture that cannot be read
      continue;
    }
    std::vector<std::string> inside;
    for (auto entry = fs::directory_iterator(input, error); !error && entry != fs::directory_iterator();
         entry.increment(error)) {
      if (is_picture(entry->path()) && !entry->is_directory(error)) inside.push_back(entry->path().string());
    }
    if (error) return Error{ErrorCode::io, input + ": cannot be listed: " + error.message()};
    if (inside.empty())
      return Error{ErrorCode::io, input + ": holds no pictures (.jpg, .jpeg, .png, .webp, .npy, .ppm, .pgm)"};
    std::sort(inside.begin(), inside.end());
    pictures.insert(pictures.end(), inside.begin(), inside.end());
  }
  return pictures;
}

Status check_outputs(std::initializer_list<Named> outputs, std::vector<Named> taken,
                     const std::vector<std::string>& pictures) {
  for (const std::string& picture : pictures) taken.push_back({"-i", picture});
  for (const auto& [option, path] : outputs) {
    if (path.empty()) continue;
    const fs::path folder = fs::path(path).parent_path();
    std::error_code ignored;
    if (!folder.empty() && !fs::is_directory(folder, ignored))
      return Error{ErrorCode::io, path + ": cannot be written: there is no folder " + folder.string()};
    for (const Named& other : taken)
      if (replaces(path, other.path))
        return Error{ErrorCode::invalid_argument, std::string(option) + ": found " + path + ", which is a file of " +
                                                      other.option + ", expected another one"};
    taken.push_back({option, path});
  }
  return {};
}

CLI::Validator number_in(double low, double high) {
  return CLI::Validator(
      [=](const std::string& text) {
        char* end = nullptr;  // from_chars of a double is missing from some standard libraries
        const double value = std::strtod(text.c_str(), &end);
        return !text.empty() && *end == '\0' && value >= low && value <= high
                   ? std::string()
                   : "found " + text + ", expected " + decimal(low, 0) + " to " + decimal(high, 0);
      },
      "");
}

Result<Model> load_model(const std::string& folder, DType dtype, int threads) {
  Progress progress("loading");
  return Model::load(folder, load_options(dtype, threads, progress));
}

Result<Model> random_model(const std::string& architecture, DType dtype, int threads) {
  Progress progress("making weights");
  return Model::random(architecture, load_options(dtype, threads, progress));
}

Outputs outputs_of(const ModelInfo& info) {
  const auto where = [](bool there, Outputs output) { return there ? output : Outputs::none; };
  return Outputs::pooled | Outputs::tokens | Outputs::patch_embed | Outputs::hidden_states |
         Outputs::intermediate_layers | Outputs::attentions | where(info.num_labels > 0, Outputs::logits) |
         where(info.num_tokens - info.num_patches > info.num_registers, Outputs::cls) |
         where(info.projection_dim > 0, Outputs::image_embeds) | where(info.num_registers > 0, Outputs::registers);
}

Error in_options(Error error, std::initializer_list<std::pair<std::string_view, std::string_view>> arguments) {
  for (const auto& [argument, option] : arguments)
    if (const std::size_t at = error.message.find(argument); at != error.message.npos)
      error.message.replace(at, argument.size(), option);
  return error;
}

Result<Model> load_model(const ModelOptions& options) {
  return load_model(options.folder, dtype_from(options.dtype), options.threads);
}

Result<Session> open_session(const Model& model, const SessionOptions& wanted) {
  auto session = model.session(wanted);
  if (session) return session;
  return in_options(session.error(), {{"SessionOptions::image_height, image_width", "--size"}});
}

Result<Session> make_session(const Model& model, const ModelOptions& options, const SizeOption& size,
                             SessionOptions wanted) {
  wanted.threads = options.threads;
  wanted.attention = dtype_from(options.attention);
  wanted.image_height = size.height;
  wanted.image_width = size.width;
  wanted.always_preprocess = options.always_preprocess;
  return open_session(model, wanted);
}

Image noise(int width, int height, int channels) {
  Image image(width, height, channels == 1 ? PixelFormat::gray8 : PixelFormat::rgb8);
  std::uint32_t state = 1;
  for (int y = 0; y < height; ++y) {
    for (std::size_t i = 0; i < image.row_bytes(); ++i) {
      state = state * 1664525u + 1013904223u;
      image.row(y)[i] = static_cast<std::uint8_t>(state >> 24);
    }
  }
  return image;
}

std::size_t for_each_picture(const std::vector<std::string>& pictures, const PictureOptions& options, Session& session,
                             bool json, Keep keep, const std::function<Status(const Seen&)>& on_picture) {
  Progress progress("pictures");
  std::size_t failures = 0;
  const auto failed = [&](const std::string& path, std::string message) {
    ++failures;
    progress.clear();
    if (message.find(path) == message.npos) message = path + ": " + message;
    report(message);
    if (json) print_json({{"image", path}, {"error", message}});
  };

  LoadImageOptions loading;
  loading.apply_exif = !options.no_exif;
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    if (pictures.size() > 1) {
      progress.update(static_cast<double>(i) / static_cast<double>(pictures.size()),
                      std::to_string(i) + "/" + std::to_string(pictures.size()));
    }
    Stopwatch decoding;
    decoding.start();
    const auto opened = open(pictures[i], loading, keep);
    decoding.stop();
    if (!opened) {
      failed(pictures[i], opened.error().message);
      continue;
    }
    const auto& [image, rows] = *opened;
    const auto run = [&, &image = image, &rows = rows] {
      if (image) return session.run(image->view());
      TimedRows timed(*rows, decoding);
      return session.run(timed);
    };
    const double opening_ms = decoding.ms();
    const auto output = run();
    if (!output) {
      failed(pictures[i], output.error().message);
      continue;
    }
    if (const Status finite = check_finite(*output); !finite) {
      failed(pictures[i], finite.error().message);
      continue;
    }
    Timing timing = session.timing();
    timing.preprocess_ms -= decoding.ms() - opening_ms;  // the rows were decoded meanwhile
    if (json) progress.clear();
    const Status good = on_picture({pictures[i], image ? &*image : nullptr, *output, decoding.ms(), timing});
    if (!good) failed(pictures[i], good.error().message);
  }
  return failures;
}

}  // namespace vitrail::cli

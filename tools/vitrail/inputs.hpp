// Options several commands share: pictures (-i), the model (-m, -t, --dtype), and walking through pictures with a
// model.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "console.hpp"
#include "vitrail/vitrail.hpp"

namespace vitrail::cli {

struct Size {
  int height = 0, width = 0;
};

/// Pixels a side that the networks' pictures can have.
constexpr int kMaxNetworkSide = 8192;

/// "16" or "HxW", each 1 … most; nothing when it is neither.
std::optional<Size> parse_size(std::string_view text, int most = max_image_side);
/// For options whose text parse_size() reads.
CLI::Validator size_up_to(int most);

/// --size: what a session is made for; 0 × 0 is the network's own size.
struct SizeOption {
  int height = 0, width = 0;
  void add_to(CLI::App& command);
};

/// -i and --no-exif.
struct PictureOptions {
  std::vector<std::string> inputs;
  bool no_exif = false;
  void add_to(CLI::App& command);
};

/// -m, -t, --dtype, --attention and --always-preprocess.
struct ModelOptions {
  std::string folder;
  int threads = 1;
  std::string dtype = "int8", attention = "int8";
  bool always_preprocess = false;
  void add_to(CLI::App& command);
};

/// -t: 1 … 256, by default the number of cores of --affinity, which the process is restricted to once they are parsed.
void add_threads(CLI::App& command, int& threads);

/// --attention.
void add_attention(CLI::App& command, std::string& attention);

DType dtype_from(std::string_view name);
const char* name_of(DType dtype);

/// Files as they are; folders become the pictures directly inside, sorted by name. An error when a folder holds none.
Result<std::vector<std::string>> expand_inputs(const std::vector<std::string>& inputs);

/// A file or folder, and the option that names it; an empty path is one that nobody wants.
struct Named {
  const char* option;
  std::string path;
};

/// An error when the folder a file would be written to is not there, or when the file would take the place of another
/// output or of an input: better known before the work than after it.
Status check_outputs(std::initializer_list<Named> outputs, std::vector<Named> inputs = {},
                     const std::vector<std::string>& pictures = {});

/// Numbers from low to high; CLI11's own Range takes NaN for one.
CLI::Validator number_in(double low, double high);

/// Loads a folder with a progress bar.
Result<Model> load_model(const std::string& folder, DType dtype, int threads);
Result<Model> load_model(const ModelOptions& options);
/// A network of random weights, with a progress bar.
Result<Model> random_model(const std::string& architecture, DType dtype, int threads);

/// What the network can give.
Outputs outputs_of(const ModelInfo& info);

/// The library speaks of its arguments, the user of this program of options: puts the latter in place of the former.
Error in_options(Error error, std::initializer_list<std::pair<std::string_view, std::string_view>> arguments);

/// A session whose errors speak of --size.
Result<Session> open_session(const Model& model, const SessionOptions& wanted);
/// A session as the options say; `wanted` says the rest.
Result<Session> make_session(const Model& model, const ModelOptions& options, const SizeOption& size,
                             SessionOptions wanted);

/// A picture of noise: flat ones would make the numbers in a network unusually tame.
Image noise(int width, int height, int channels);

/// One picture that went through the network; what is referred to lives until the next one.
struct Seen {
  const std::string& path;
  const Image* image;  ///< null unless kept
  const Output& output;
  double decode_ms = 0;
  Timing timing;
};

enum class Keep {
  nothing,  ///< pictures go into the network row by row as they are decoded
  picture,
};

/// Runs the session on every picture. One that fails is reported (in JSON on stdout when `json`) and the others go on.
/// Returns how many failed.
std::size_t for_each_picture(const std::vector<std::string>& pictures, const PictureOptions& options, Session& session,
                             bool json, Keep keep, const std::function<Status(const Seen&)>& on_picture);

}  // namespace vitrail::cli

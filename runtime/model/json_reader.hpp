// JSON from files nobody vouches for: a strict parser, and typed access whose messages name file, key, found and
// expected.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/model/checks.hpp"
#include "vitrail/error.hpp"

namespace vitrail {

using Json = nlohmann::json;

/// One JSON value and nothing after it. Beyond the grammar it refuses what would be silently lost or cost too much: a
/// key given twice in one object, nesting deeper than 32, more than 4 million values.
/// @param file  for messages
Result<Json> parse_json(std::string_view text, const std::string& file);

/// A JSON file of at most 16 MiB that holds an object.
Result<Json> read_json_object(const std::filesystem::path& path);

/// The value as a message shows it: short, on one line.
std::string found_text(const Json& value);

/// A limit as a message shows it.
std::string number_text(double value);

/// The fields of one JSON object. `null` counts as absent, as in the Python libraries that write these files. Every
/// getter records an error in `errors` when the value is missing (and has no fallback) or not what is expected. Borrows
/// the JSON value and `errors`.
class Fields {
 public:
  /// @param path  of this object inside the file, e.g. `pretrained_cfg.`; empty at the top
  Fields(const Json& object, std::string file, FirstError& errors, std::string path = "");

  bool has(std::string_view key) const { return find(key) != nullptr; }
  const Json* find(std::string_view key) const;
  /// All keys, in alphabetical order.
  std::vector<std::string> keys() const;

  int integer(std::string_view key, int min, int max, std::optional<int> fallback = {}) const;
  double number(std::string_view key, double min, double max, std::optional<double> fallback = {}) const;
  bool boolean(std::string_view key, std::optional<bool> fallback = {}) const;
  std::string text(std::string_view key, std::optional<std::string> fallback = {}) const;
  /// The object under `key`; an empty one (and an error) when it is missing or something else.
  Fields object(std::string_view key) const;

  /// An integer for both, or [first, second].
  std::pair<int, int> integer_pair(std::string_view key, int min, int max, std::optional<int> fallback = {}) const;

  /// Records `"key": found …, expected …`.
  void fail(std::string_view key, std::string_view expected, ErrorCode code = ErrorCode::bad_file) const;
  /// Records a message about this file.
  void fail_file(std::string_view message, ErrorCode code = ErrorCode::bad_file) const;

  const std::string& file() const { return file_; }
  FirstError& errors() const { return *errors_; }
  /// `"path.key"`, for messages.
  std::string name(std::string_view key) const { return in_quotes(path_ + std::string(key)); }

 private:
  const Json* object_;
  std::string file_;
  FirstError* errors_;
  std::string path_;
};

}  // namespace vitrail

#include "runtime/model/json_reader.hpp"

#include <new>
#include <nlohmann/json.hpp>

#include "runtime/model/mapped_file.hpp"

namespace vitrail {
namespace {

constexpr std::size_t max_depth = 32;
constexpr std::size_t max_values = 4'000'000;        // a value costs 16 … 100 bytes
constexpr std::size_t max_config_bytes = 16u << 20;  // 100 times the largest config.json seen

/// Builds a Json value while it checks what nlohmann's own builder lets through. Returning false stops the parser.
class StrictBuilder : public nlohmann::json_sax<Json> {
 public:
  Json root;
  std::string problem;

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return add(value); }
  bool number_unsigned(number_unsigned_t value) override { return add(value); }
  bool number_float(number_float_t value, const string_t&) override { return add(value); }
  bool string(string_t& value) override { return add(std::move(value)); }
  bool binary(binary_t&) override { return refuse("binary values are not JSON"); }
  bool start_object(std::size_t) override { return open(Json::object()); }
  bool start_array(std::size_t) override { return open(Json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& value) override {
    key_ = std::move(value);
    if (stack_.back()->contains(key_)) return refuse("the key " + in_quotes(key_) + " is given twice");
    return true;
  }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
    return refuse("is not valid JSON (at byte " + std::to_string(position) + ")");
  }

 private:
  bool refuse(std::string message) {
    if (problem.empty()) problem = std::move(message);
    return false;
  }

  template <class T>
  bool add(T&& value) {
    return insert(Json(std::forward<T>(value))) != nullptr;
  }

  Json* insert(Json value) {
    if (++values_ > max_values) {
      refuse("has more than " + std::to_string(max_values) + " values");
      return nullptr;
    }
    if (stack_.empty()) {
      root = std::move(value);
      return &root;
    }
    Json& parent = *stack_.back();
    if (parent.is_array()) {
      parent.push_back(std::move(value));
      return &parent.back();
    }
    return &(parent[key_] = std::move(value));
  }

  bool open(Json value) {
    if (stack_.size() == max_depth) return refuse("is nested deeper than " + std::to_string(max_depth) + " levels");
    Json* place = insert(std::move(value));
    if (place) stack_.push_back(place);  // stays valid: a parent is not changed before its child is closed
    return place != nullptr;
  }

  bool close() {
    stack_.pop_back();
    return true;
  }

  std::vector<Json*> stack_;
  std::string key_;
  std::size_t values_ = 0;
};

std::string range_text(int min, int max) { return "from " + std::to_string(min) + " to " + std::to_string(max); }

bool is_integer(const Json& value, int min, int max) {
  if (value.is_number_unsigned()) {
    auto n = value.get<std::uint64_t>();
    return max >= 0 && n <= static_cast<std::uint64_t>(max) && (min < 0 || n >= static_cast<std::uint64_t>(min));
  }
  if (!value.is_number_integer()) return false;
  auto n = value.get<std::int64_t>();
  return n >= min && n <= max;
}

}  // namespace

Result<Json> parse_json(std::string_view text, const std::string& file) try {
  StrictBuilder builder;
  if (!Json::sax_parse(text.begin(), text.end(), &builder) || !builder.problem.empty())
    return Error{ErrorCode::bad_file, file + ": " + builder.problem};
  return std::move(builder.root);
} catch (const std::bad_alloc&) {
  return Error{ErrorCode::out_of_memory,
               file + ": no memory to parse " + std::to_string(text.size()) + " bytes of JSON"};
}

Result<Json> read_json_object(const std::filesystem::path& path) {
  auto file = MappedFile::open(path);
  if (!file) return file.error();
  auto text = (*file)->text();
  if (text.size() > max_config_bytes)
    return Error{ErrorCode::bad_file, path.string() + ": found " + std::to_string(text.size()) +
                                          " bytes, expected at most " + std::to_string(max_config_bytes)};
  auto json = parse_json(text, path.string());
  if (json && !json->is_object())
    return Error{ErrorCode::bad_file, path.string() + ": found " + found_text(*json) + ", expected a JSON object"};
  return json;
}

// Not by a stream: the library's only one would add a quarter of a megabyte to a program that links C++ statically.
std::string number_text(double value) {
  std::string text = Json(value).dump();
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  return text;
}

std::string found_text(const Json& value) {
  if (value.is_object()) return "an object with " + std::to_string(value.size()) + " keys";
  if (value.is_string()) return in_quotes(value.get_ref<const std::string&>());
  if (!value.is_array()) return value.dump();
  bool flat = value.size() <= 4;
  std::string out;
  for (const auto& item : value) {
    flat = flat && item.is_primitive();
    if (!flat) return "an array of " + std::to_string(value.size()) + " values";
    out += (out.empty() ? "" : ", ") + found_text(item);
  }
  return "[" + out + "]";
}

Fields::Fields(const Json& object, std::string file, FirstError& errors, std::string path)
    : object_(&object), file_(std::move(file)), errors_(&errors), path_(std::move(path)) {}

const Json* Fields::find(std::string_view key) const {
  if (!object_->is_object()) return nullptr;
  auto it = object_->find(std::string(key));
  return it == object_->end() || it->is_null() ? nullptr : &*it;
}

std::vector<std::string> Fields::keys() const {
  std::vector<std::string> out;
  if (object_->is_object())
    for (const auto& item : object_->items()) out.push_back(item.key());
  return out;
}

int Fields::integer(std::string_view key, int min, int max, std::optional<int> fallback) const {
  const Json* value = find(key);
  if (!value && fallback) return *fallback;
  if (value && is_integer(*value, min, max)) return value->get<int>();
  fail(key, "an integer " + range_text(min, max));
  return min;
}

double Fields::number(std::string_view key, double min, double max, std::optional<double> fallback) const {
  const Json* value = find(key);
  if (!value && fallback) return *fallback;
  if (value && value->is_number()) {
    auto n = value->get<double>();
    if (n >= min && n <= max) return n;
  }
  fail(key, "a number from " + number_text(min) + " to " + number_text(max));
  return min;
}

bool Fields::boolean(std::string_view key, std::optional<bool> fallback) const {
  const Json* value = find(key);
  if (!value && fallback) return *fallback;
  if (value && value->is_boolean()) return value->get<bool>();
  fail(key, "true or false");
  return fallback.value_or(false);
}

std::string Fields::text(std::string_view key, std::optional<std::string> fallback) const {
  const Json* value = find(key);
  if (!value && fallback) return *fallback;
  if (value && value->is_string()) return value->get<std::string>();
  fail(key, "a string");
  return fallback.value_or("");
}

Fields Fields::object(std::string_view key) const {
  static const Json empty = Json::object();
  const Json* value = find(key);
  if (!value || !value->is_object()) fail(key, "an object");
  return {value && value->is_object() ? *value : empty, file_, *errors_, path_ + std::string(key) + "."};
}

std::pair<int, int> Fields::integer_pair(std::string_view key, int min, int max, std::optional<int> fallback) const {
  const Json* value = find(key);
  if (!value && fallback) return {*fallback, *fallback};
  if (value && is_integer(*value, min, max)) return {value->get<int>(), value->get<int>()};
  if (value && value->is_array() && value->size() == 2 && is_integer((*value)[0], min, max) &&
      is_integer((*value)[1], min, max))
    return {(*value)[0].get<int>(), (*value)[1].get<int>()};
  fail(key, "an integer or a pair of integers " + range_text(min, max));
  return {min, min};
}

void Fields::fail(std::string_view key, std::string_view expected, ErrorCode code) const {
  const Json* value = find(key);
  fail_file(
      name(key) + ": " + (value ? "found " + found_text(*value) : "is missing") + ", expected " + std::string(expected),
      code);
}

void Fields::fail_file(std::string_view message, ErrorCode code) const {
  errors_->set(code, file_ + ": " + std::string(message));
}

}  // namespace vitrail

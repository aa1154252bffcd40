#include "runtime/model/config.hpp"

#include <charconv>
#include <nlohmann/json.hpp>

namespace vitrail {

void check_dimensions(const VitConfig& config, const std::string& where, FirstError& errors) {
  auto expect = [&](bool fine, const std::string& message) {
    if (!fine) errors.set(ErrorCode::bad_file, where + ": " + message);
  };
  auto text = [](auto... n) {
    std::string out;
    ((out += (out.empty() ? "" : " × ") + std::to_string(n)), ...);
    return out;
  };
  expect(config.embed_dim % config.num_heads == 0, "embedding width: found " + text(config.embed_dim) +
                                                       ", expected a multiple of the " + text(config.num_heads) +
                                                       " heads");
  expect(config.head_dim() <= limits::head_dim,
         "width of a head: found " + text(config.head_dim()) + ", expected at most " + text(limits::head_dim));
  expect(config.image_height % config.patch_height == 0 && config.image_width % config.patch_width == 0,
         "image size: found " + text(config.image_height, config.image_width) +
             ", expected multiples of the patch size " + text(config.patch_height, config.patch_width));
  auto patch_elements = std::int64_t{config.patch_height} * config.patch_width * config.channels;
  expect(patch_elements <= limits::inner,
         "elements of a patch: found " + text(patch_elements) + ", expected at most " + text(limits::inner));
  auto tokens = std::int64_t{config.grid_rows()} * config.grid_columns() + config.prefix_tokens();
  expect(tokens <= limits::tokens, "tokens: found " + text(tokens) + ", expected at most " + text(limits::tokens));
}

std::vector<std::string> read_labels(const Fields& fields, std::string_view key, int count) {
  const Json* value = fields.find(key);
  if (!value) return {};
  std::vector<std::string> labels(static_cast<std::size_t>(count));
  auto expected = "the names of " + std::to_string(count) + " classes";
  if (!value->is_structured() || value->size() != labels.size()) return fields.fail(key, expected), labels;
  std::size_t position = 0;
  for (const auto& [name, label] : value->items()) {
    std::size_t index = position++;
    if (value->is_object()) {
      auto [end, code] = std::from_chars(name.data(), name.data() + name.size(), index);
      // Keys are unique and all in range, so none can be missing. "01" would be a second way to write 1.
      if (code != std::errc() || end != name.data() + name.size() || index >= labels.size() ||
          std::to_string(index) != name) {
        fields.fail_file(fields.name(key) + ": found the key " + in_quotes(name) + ", expected integers from 0 to " +
                         std::to_string(count - 1));
        return labels;
      }
    }
    if (!label.is_string()) {
      fields.fail_file(fields.name(key) + ": class " + std::to_string(index) + ": found " + found_text(label) +
                       ", expected a string");
      return labels;
    }
    labels[index] = label.get<std::string>();
  }
  return labels;
}

}  // namespace vitrail

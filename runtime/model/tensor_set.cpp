#include "runtime/model/tensor_set.hpp"

#include <algorithm>

namespace vitrail {
namespace {

/// A part of a tensor's name between dots (or a whole name), and what it stands for.
struct Variant {
  std::string_view part, meaning;
};

constexpr Variant variants[] = {
    {"ls1", "LayerScale"},
    {"ls2", "LayerScale"},
    {"layer_scale1", "LayerScale"},
    {"layer_scale2", "LayerScale"},
    {"lambda_1", "LayerScale"},
    {"lambda_2", "LayerScale"},
    {"gamma_1", "LayerScale"},
    {"gamma_2", "LayerScale"},
    {"reg_token", "register tokens"},
    {"register_tokens", "register tokens"},
    {"norm_pre", "a LayerNorm before the blocks, as in CLIP"},
    {"pre_layernorm", "a LayerNorm before the blocks, as in CLIP"},
    {"attn_pool", "attention pooling"},
    {"q_norm", "normalised queries and keys"},
    {"k_norm", "normalised queries and keys"},
    {"relative_position_bias_table", "relative position bias"},
    {"relative_position_bias", "relative position bias"},
    {"rel_pos_h", "relative position bias"},
    {"pre_logits", "a representation layer before the head"},
    {"attns", "parallel blocks"},
    {"in_proj", "parallel blocks"},
    {"backbone", "a convolutional stem"},
    {"w12", "a gated MLP (SwiGLU)"},
    {"weights_in", "a gated MLP (SwiGLU)"},
    {"decoder", "a decoder of masked patches"},
};

bool has_part(std::string_view name, std::string_view part) {
  for (std::size_t at = name.find(part); at != name.npos; at = name.find(part, at + 1)) {
    bool starts = at == 0 || name[at - 1] == '.';
    std::size_t end = at + part.size();
    if (starts && (end == name.size() || name[end] == '.')) return true;
  }
  return false;
}

}  // namespace

std::vector<std::int64_t> TensorSet::shape(std::string_view name) const {
  const StoredTensor* tensor = files_.find(name);
  return tensor ? tensor->shape : std::vector<std::int64_t>();
}

TensorView TensorSet::take(const std::string& name, std::vector<std::int64_t> shape) {
  taken_.insert(name);
  TensorView view;
  view.name = name;
  const StoredTensor* tensor = files_.find(name);
  if (!tensor) {
    fail("tensor " + in_quotes(name) + " is missing, expected shape " + shape_text(shape));
    return view;
  }
  auto found = std::span(tensor->shape);
  while (found.size() > shape.size() && found[0] == 1) found = found.subspan(1);
  if (!std::equal(found.begin(), found.end(), shape.begin(), shape.end())) {
    errors_.set(ErrorCode::bad_file, tensor->file + ": tensor " + in_quotes(name) + ": found shape " +
                                         shape_text(tensor->shape) + ", expected " + shape_text(shape));
    return view;
  }
  if (tensor->dtype == "F32") {
    view.type = TensorView::Type::f32;
  } else if (tensor->dtype == "F16") {
    view.type = TensorView::Type::f16;
  } else if (tensor->dtype == "BF16") {
    view.type = TensorView::Type::bf16;
  } else {
    errors_.set(ErrorCode::unsupported, tensor->file + ": tensor " + in_quotes(name) + ": found dtype " +
                                            tensor->dtype + ", expected F32, F16 or BF16");
    return view;
  }
  view.shape = std::move(shape);
  view.data = tensor->data;
  view.mapping = tensor->mapping;
  return view;
}

NormSource TensorSet::norm(const std::string& prefix, int width) {
  return {take(prefix + ".weight", {width}), take(prefix + ".bias", {width})};
}

void TensorSet::add_part(LinearSource& linear, const std::string& prefix, int out, int in, bool bias) {
  linear.weights.push_back(take(prefix + ".weight", {out, in}));
  linear.biases.push_back(bias ? std::optional(take(prefix + ".bias", {out})) : std::nullopt);
}

LinearSource TensorSet::linear(const std::string& prefix, int out, int in, bool bias) {
  LinearSource linear;
  add_part(linear, prefix, out, in, bias);
  return linear;
}

void TensorSet::ignore_all(std::string_view prefix) {
  for (const StoredTensor& tensor : files_.tensors())
    if (std::string_view(tensor.name).starts_with(prefix)) taken_.insert(tensor.name);
}

void TensorSet::refuse_known_variants(std::initializer_list<std::string_view> but) const {
  for (const StoredTensor& tensor : files_.tensors())
    for (const Variant& variant : variants)
      if (std::find(but.begin(), but.end(), variant.part) == but.end() && has_part(tensor.name, variant.part))
        return errors_.set(ErrorCode::unsupported, tensor.file + ": this network has " + in_quotes(tensor.name) + " (" +
                                                       std::string(variant.meaning) + "), which is not run");
}

void TensorSet::refuse_the_rest() const {
  for (const StoredTensor& tensor : files_.tensors())
    if (!taken_.contains(tensor.name))
      return errors_.set(ErrorCode::unsupported, tensor.file + ": tensor " + in_quotes(tensor.name) + " " +
                                                     shape_text(tensor.shape) +
                                                     " has no place in the network that config.json describes");
}

void TensorSet::fail(const std::string& message, ErrorCode code) const {
  errors_.set(code, files_.file() + ": " + message);
}

}  // namespace vitrail

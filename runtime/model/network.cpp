#include "runtime/model/network.hpp"

#include <new>
#include <nlohmann/json.hpp>

#include "runtime/model/family.hpp"
#include "runtime/model/timm.hpp"

namespace vitrail {
namespace {

Status check_folder(const std::filesystem::path& folder) {
  std::error_code code;
  auto status = std::filesystem::status(folder, code);
  auto fail = [&](const std::string& what) { return Error{ErrorCode::io, folder.string() + ": " + what}; };
  if (status.type() == std::filesystem::file_type::none) return fail("cannot be examined: " + code.message());
  if (!std::filesystem::exists(status)) return fail("no such folder");
  if (!std::filesystem::is_directory(status))
    return fail("is a file, expected the folder with config.json and model.safetensors");
  if (std::filesystem::exists(folder / "config.json", code)) return {};
  return fail(code ? "config.json cannot be examined: " + code.message() : "found no config.json in this folder");
}

/// Hugging Face keeps what it does to pictures in a file of its own. There is no default: a network fed with pictures
/// of another mean and deviation answers, and answers wrongly.
Result<PreprocessConfig> read_preprocessor(const std::filesystem::path& folder, VitConfig& config) {
  auto path = folder / "preprocessor_config.json";
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored))
    return Error{ErrorCode::io, path.string() +
                                    ": no such file; expected one with size, resample, image_mean, image_std "
                                    "(transformers writes it: image_processor.save_pretrained(folder))"};
  auto json = read_json_object(path);
  if (!json) return json.error();
  FirstError errors;
  auto out = huggingface_preprocess(Fields(*json, path.string(), errors), config);
  if (auto status = errors.status(); !status) return status.error();
  return out;
}

/// config → tensors → network, for both formats.
template <class Config>
Result<NetworkSource> assemble(const std::filesystem::path& folder, Config config,
                               NetworkSource (*by_names)(Config, TensorSet&)) {
  auto files = Safetensors::open_folder(folder);
  if (!files) return files.error();
  FirstError errors;
  TensorSet tensors(*files, errors);
  NetworkSource out = by_names(std::move(config), tensors);
  if (auto status = errors.status(); !status) return status.error();
  out.file = files->file();
  out.files = files->files();
  return out;
}

}  // namespace

bool NetworkSource::shares_bias(const BlockSource& block) const {
  const BlockSource& first = blocks[0];
  return block.bias && &block != &first && block.bias->data == first.bias->data;
}

std::uint64_t NetworkSource::size_bytes() const {
  std::uint64_t bytes = patch_weight.size_bytes();
  const auto add = [&](const LinearSource& l) {
    for (const auto& part : l.weights) bytes += part.size_bytes();
  };
  const auto add_norm = [&](const NormSource& n) { bytes += n.weight.size_bytes() + n.bias.size_bytes(); };
  for (const auto& token : {cls, dist, registers, positions})
    if (token) bytes += token->size_bytes();
  const auto add_block = [&](const BlockSource& block) {
    for (const auto* l : {&block.qkv, &block.proj, &block.fc1, &block.fc2}) add(*l);
    add_norm(block.norm1);
    add_norm(block.norm2);
    for (const auto& vector : {block.scale1, block.scale2})
      if (vector) bytes += vector->size_bytes();
    if (block.bias && !shares_bias(block)) bytes += block.bias->size_bytes();
  };
  for (const auto& block : blocks) add_block(block);
  for (const auto* n : {&pre_norm, &norm, &pool_norm})
    if (*n) add_norm(**n);
  for (const auto* l : {&pooler, &projection, &head, &head_dist})
    if (*l) add(**l);
  if (const auto& p = attention_pool) {
    bytes += p->probe.size_bytes() + p->query.biases[0]->size_bytes();
    for (const auto* l : {&p->query, &p->key_value, &p->proj, &p->fc1, &p->fc2}) add(*l);
    add_norm(p->norm);
  }
  if (const auto& d = decoder) {
    bytes += d->mask_token.size_bytes() + d->positions.size_bytes();
    for (const auto* l : {&d->embed, &d->pixels}) add(*l);
    for (const auto& block : d->blocks) add_block(block);
    add_norm(d->norm);
  }
  return bytes;
}

Result<NetworkSource> read_network(const std::filesystem::path& folder) try {
  if (auto status = check_folder(folder); !status) return status.error();
  auto path = folder / "config.json";
  auto json = read_json_object(path);
  if (!json) return json.error();
  FirstError errors;
  Fields fields(*json, path.string(), errors);

  if (fields.has("model_type")) {
    const Family* family = find_family(fields);
    if (!family) return errors.status().error();
    auto config = family->config(fields);
    VitConfig& vit = config.vit;
    check_dimensions(vit, fields.file(), errors);
    if (auto status = errors.status(); !status) return status.error();
    vit.table_rows = vit.grid_rows();
    vit.table_columns = vit.grid_columns();
    auto preprocess = read_preprocessor(folder, vit);
    if (!preprocess) return preprocess.error();
    vit.preprocess = *preprocess;
    check_dimensions(vit, (folder / "preprocessor_config.json").string(), errors);
    if (auto status = errors.status(); !status) return status.error();
    return assemble(folder, std::move(config), family->network);
  }
  if (fields.has("architecture")) {
    auto config = timm_config(fields);
    if (auto status = errors.status(); !status) return status.error();
    return assemble(folder, std::move(config), timm_network);
  }
  return Error{ErrorCode::unsupported, path.string() +
                                           ": found neither \"model_type\" (Hugging Face) nor "
                                           "\"architecture\" (timm: vit_*, deit_*)"};
} catch (const std::bad_alloc&) {
  return Error{ErrorCode::out_of_memory, folder.string() + ": no memory to read the network's description"};
} catch (const std::exception& exception) {  // std::filesystem may throw; nothing else here should
  return Error{ErrorCode::io, folder.string() + ": " + exception.what()};
}

}  // namespace vitrail

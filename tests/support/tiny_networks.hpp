// Folders of very small networks, sound as written; tests damage one thing at a time.
#pragma once

#include <string>
#include <vector>

#include "tests/support/files.hpp"
#include "tests/support/safetensors_writer.hpp"

namespace vitrail::test {

/// D 32, 2 layers, 2 heads, M 64, 32 × 32 pixels in patches of 16, 3 labels.
struct TinyFolder {
  TemporaryFolder dir;
  nlohmann::json config, preprocessor;  ///< preprocessor is null for timm
  std::vector<TestTensor> tensors;

  void add(const std::string& name, std::vector<std::int64_t> shape) {
    tensors.push_back(f32_tensor(name, std::move(shape), [&](std::size_t i) {
      return (static_cast<double>((i * 2654435761u + name.size() * 97) % 2048) - 1024) / 16384;
    }));
  }
  void add_linear(const std::string& name, std::int64_t out, std::int64_t in, bool bias = true) {
    add(name + ".weight", {out, in});
    if (bias) add(name + ".bias", {out});
  }
  void add_norm(const std::string& name) {
    add(name + ".weight", {32});
    add(name + ".bias", {32});
  }
  TestTensor& tensor(const std::string& name) {
    for (auto& tensor : tensors)
      if (tensor.name == name) return tensor;
    throw std::runtime_error("no tensor " + name);
  }
  void remove(const std::string& name) {
    std::erase_if(tensors, [&](const TestTensor& tensor) { return tensor.name == name; });
  }
  void rename(const std::string& from, const std::string& to) {
    for (auto& tensor : tensors)
      if (auto at = tensor.name.find(from); at != std::string::npos) tensor.name.replace(at, from.size(), to);
  }
  const std::filesystem::path& write() const {
    write_file(dir / "config.json", config.dump(1));
    if (!preprocessor.is_null()) write_file(dir / "preprocessor_config.json", preprocessor.dump(1));
    write_file(dir / "model.safetensors", safetensors_file(tensors));
    return dir.path();
  }
};

inline void make_huggingface(TinyFolder& f, const std::string& family = "vit") {
  const bool deit = family == "deit";
  f.config = {{"model_type", family},
              {"architectures", {deit ? "DeiTForImageClassificationWithTeacher" : "ViTForImageClassification"}},
              {"hidden_size", 32},
              {"num_hidden_layers", 2},
              {"num_attention_heads", 2},
              {"intermediate_size", 64},
              {"image_size", 32},
              {"patch_size", 16},
              {"id2label", {{"0", "cat"}, {"1", "dog"}, {"2", "newt"}}},
              {"torch_dtype", "float32"},
              {"encoder_stride", 16}};
  f.preprocessor = {{"image_processor_type", "ViTImageProcessor"},
                    {"size", {{"height", 32}, {"width", 32}}},
                    {"resample", 2},
                    {"image_mean", {0.5, 0.25, 0.125}},
                    {"image_std", {0.5, 0.5, 2}}};
  const std::string p = family + ".";
  f.add(p + "embeddings.cls_token", {1, 1, 32});
  if (deit) f.add(p + "embeddings.distillation_token", {1, 1, 32});
  f.add(p + "embeddings.position_embeddings", {1, deit ? 6 : 5, 32});
  f.add(p + "embeddings.patch_embeddings.projection.weight", {32, 3, 16, 16});
  f.add(p + "embeddings.patch_embeddings.projection.bias", {32});
  for (const char* layer : {"encoder.layer.0.", "encoder.layer.1."}) {
    for (const char* part : {"attention.attention.query", "attention.attention.key", "attention.attention.value",
                             "attention.output.dense"})
      f.add_linear(p + layer + part, 32, 32);
    f.add_linear(p + layer + "intermediate.dense", 64, 32);
    f.add_linear(p + layer + "output.dense", 32, 64);
    f.add_norm(p + layer + "layernorm_before");
    f.add_norm(p + layer + "layernorm_after");
  }
  f.add_norm(p + "layernorm");
  f.add_linear(deit ? "cls_classifier" : "classifier", 3, 32);
  if (deit) f.add_linear("distillation_classifier", 3, 32);
}

inline void make_timm(TinyFolder& f, bool distilled = false) {
  f.config = {{"architecture", distilled ? "deit_tiny_distilled_patch16_224" : "vit_tiny_patch16_224"},
              {"num_classes", 3},
              {"num_features", 32},
              {"global_pool", "token"},
              {"model_args", {{"embed_dim", 32}, {"depth", 2}, {"num_heads", 2}, {"mlp_ratio", 2.0}}},
              {"pretrained_cfg",
               {{"input_size", {3, 32, 32}},
                {"interpolation", "bicubic"},
                {"crop_pct", 0.9},
                {"crop_mode", "center"},
                {"mean", {0.5, 0.25, 0.125}},
                {"std", {0.5, 0.5, 2}}}}};
  f.add("cls_token", {1, 1, 32});
  if (distilled) f.add("dist_token", {1, 1, 32});
  f.add("pos_embed", {1, distilled ? 6 : 5, 32});
  f.add("patch_embed.proj.weight", {32, 3, 16, 16});
  f.add("patch_embed.proj.bias", {32});
  for (const std::string block : {"blocks.0.", "blocks.1."}) {
    f.add_norm(block + "norm1");
    f.add_linear(block + "attn.qkv", 96, 32);
    f.add_linear(block + "attn.proj", 32, 32);
    f.add_norm(block + "norm2");
    f.add_linear(block + "mlp.fc1", 64, 32);
    f.add_linear(block + "mlp.fc2", 32, 64);
  }
  f.add_norm("norm");
  f.add_linear("head", 3, 32);
  if (distilled) f.add_linear("head_dist", 3, 32);
}

}  // namespace vitrail::test

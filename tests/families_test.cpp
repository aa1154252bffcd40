// Every family at several picture sizes against transformers' own results (tests/goldens/families, and timm: the same
// under timm's names): f32 to 1e-4, int8 per token; and what is refused of sizes and of configurations that look like a
// family's.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <set>

#include "tests/support/environment.hpp"
#include "tests/support/golden.hpp"
#include "tests/support/platforms.hpp"
#include "vitrail/vitrail.hpp"

using namespace vitrail;
using namespace vitrail::test;
namespace fs = std::filesystem;

namespace {

std::set<fs::path> cases() {
  std::set<fs::path> all;
  for (const char* set : {"families", "timm"})
    for (const auto& entry : fs::directory_iterator(goldens() / set)) all.insert(entry.path());
  return all;
}

Model load(const fs::path& folder, DType dtype) {
  LoadOptions options;
  options.dtype = dtype;
  auto model = Model::load(folder, options);
  if (!model) FAIL(model.error().message);
  return *model;
}

struct TestPicture {
  TestPicture(int height, int width)
      : bytes(golden_picture("mixed", width, height, 3)),
        view{bytes.data(), width, height, 3 * width, PixelFormat::rgb8} {}
  std::vector<std::uint8_t> bytes;
  ImageView view;
};

nlohmann::json json_of(const fs::path& file) { return nlohmann::json::parse(read_file(file)); }

/// What `out` has under the name of one part of a golden file.
std::vector<float> part(const Output& out, const std::string& name, const std::vector<int>& token_rows) {
  const auto tokens = static_cast<std::size_t>(out.num_tokens), dim = out.tokens.size() / tokens;
  const auto all = [](std::span<const float> values) { return std::vector<float>(values.begin(), values.end()); };
  if (name == "logits") return all(out.logits);
  if (name == "image_embeds") return all(out.image_embeds);
  if (name == "pooled") return all(out.pooled);
  std::vector<float> values;
  if (name == "tokens") {
    for (const int row : token_rows) {
      const auto of_row = all(out.tokens.subspan(static_cast<std::size_t>(row) * dim, dim));
      values.insert(values.end(), of_row.begin(), of_row.end());
    }
    return values;
  }
  REQUIRE(name == "tokens_mean");
  values.resize(dim);
  for (std::size_t i = 0; i < out.tokens.size(); ++i) values[i % dim] += out.tokens[i] / static_cast<float>(tokens);
  return values;
}

/// Output of one picture, copied.
struct Kept {
  std::vector<float> tokens, all;
  int num_tokens = 0;
};

Kept run(const Model& model, int height, int width, int threads = 1) {
  auto session = model.session({.threads = threads, .image_height = height, .image_width = width});
  if (!session) FAIL(session.error().message);
  const Output out = session->run(TestPicture(height, width).view).value();
  Kept kept{{out.tokens.begin(), out.tokens.end()}, {}, out.num_tokens};
  for (const auto span : {out.tokens, out.pooled, out.registers, out.image_embeds, out.logits})
    kept.all.insert(kept.all.end(), span.begin(), span.end());
  return kept;
}

double cosine(const float* a, const float* b, std::size_t count) {
  double ab = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < count; ++i) {
    ab += static_cast<double>(a[i]) * b[i];
    aa += static_cast<double>(a[i]) * a[i];
    bb += static_cast<double>(b[i]) * b[i];
  }
  return ab / std::sqrt(aa * bb);
}

/// The message of a session that must not be made.
std::string refused(const Model& model, int height, int width) {
  auto session = model.session({.image_height = height, .image_width = width});
  REQUIRE_FALSE(session);
  CHECK(session.error().code == ErrorCode::invalid_argument);
  return session.error().message;
}

/// The message of a folder that must not load once `change` has had its config.json.
std::string refused(const std::string& name, const std::function<void(nlohmann::json&)>& change,
                    const char* set = "families") {
  const GoldenModel golden(goldens() / set / name);
  auto config = json_of(golden.folder() / "config.json");
  change(config);
  write_file(golden.folder() / "config.json", config.dump());
  auto model = Model::load(golden.folder());
  REQUIRE_FALSE(model);
  return model.error().message;
}

}  // namespace

TEST_CASE("f32: every family at every size equals transformers to 1e-4") {
  const auto all = cases();
  CHECK(all.size() >= 31);
  for (const auto& source : all) {
    CAPTURE(source.filename().string());
    const GoldenModel golden(source);
    const auto description = json_of(source / "case.json");
    const Model model = load(golden.folder(), DType::f32);
    const auto config = json_of(source / "config.json");
    CHECK(model.info().family == config.value("model_type", description.value("family", "")));
    CHECK(model.info().format == (config.contains("architecture") ? "timm" : "huggingface"));
    CHECK(model.info().parameters == description.at("parameters"));
    CHECK(description.at("sizes").size() >= 4);
    for (const auto& size : description.at("sizes")) {
      const int height = size.at("height"), width = size.at("width");
      CAPTURE(height);
      CAPTURE(width);
      auto session = model.session({.image_height = height, .image_width = width});
      if (!session) FAIL(session.error().message);
      const Output out = session->run(TestPicture(height, width).view).value();
      CHECK(out.num_tokens == size.at("num_tokens"));
      CHECK(session->info().num_tokens == out.num_tokens);
      CHECK(session->info().image_height == height);
      CHECK(out.grid_rows * model.info().patch_height == height);
      CHECK(out.grid_columns * model.info().patch_width == width);
      CHECK(out.registers.size() == static_cast<std::size_t>(model.info().num_registers * model.info().embed_dim));
      if (!out.registers.empty())
        CHECK(std::equal(out.registers.begin(), out.registers.end(), out.tokens.begin() + model.info().embed_dim));
      const auto expected = golden.expected(std::to_string(height) + "x" + std::to_string(width)).values;
      std::size_t at = 0;
      for (const auto& entry : size.at("parts")) {
        const std::string name = entry[0];
        CAPTURE(name);
        const auto values = part(out, name, size.at("token_rows"));
        REQUIRE(values.size() == entry[1]);
        double largest = 0;
        for (const float value : values)
          largest = std::max(largest, std::fabs(static_cast<double>(value) - expected[at++]));
        CHECK(largest <= 1e-4);
      }
      CHECK(at == expected.size());
    }
  }
}

TEST_CASE("DINOv3 of a picture of another size: its processor's floats against u8 pixels, token by token") {
  const fs::path source = goldens() / "families" / "dinov3";
  const GoldenModel golden(source);
  auto processor = json_of(golden.folder() / "preprocessor_config.json");
  processor["image_processor_type"] = "DINOv3ViTImageProcessorFast";
  processor["resample"] = 2;
  write_file(golden.folder() / "preprocessor_config.json", processor.dump());
  const auto expected = read_npy<float>(source / "processed_91x57.npy");
  const auto tokens = static_cast<std::size_t>(expected.shape[0]), dim = static_cast<std::size_t>(expected.shape[1]);
  for (const DType dtype : {DType::f32, DType::int8}) {
    const Model model = load(golden.folder(), dtype);
    auto session = model.session({.threads = 1});
    REQUIRE(session);
    const auto out = session->run(TestPicture(57, 91).view);
    if (!out) FAIL(out.error().message);
    REQUIRE(out->tokens.size() == tokens * dim);
    double least = 1;
    for (std::size_t t = 0; t < tokens; ++t)
      least = std::min(least, cosine(out->tokens.data() + t * dim, expected.values.data() + t * dim, dim));
    CAPTURE(least);
    MESSAGE("lowest cosine of a token: ", least);
    CHECK(least > (dtype == DType::f32 ? 0.9999 : 0.999));  // f32 measured: 0.99998, all of it from the rounding
  }
  // What leaves the range of pixels is not rounded to them: only pictures of the network's size are taken.
  processor["resample"] = 3;
  write_file(golden.folder() / "preprocessor_config.json", processor.dump());
  const Model model = load(golden.folder(), DType::f32);
  auto session = model.session({.threads = 1});
  REQUIRE(session);
  CHECK(session->run(TestPicture(48, 48).view));
  const auto out = session->run(TestPicture(57, 91).view);
  REQUIRE_FALSE(out);
  CHECK(out.error().message.find("expected 48 × 48") != std::string::npos);
}

TEST_CASE("the network's own size needs no option, and is the preprocessor's where the family resizes positions") {
  const GoldenModel golden(goldens() / "families" / "dinov2_own_size");
  const Model model = load(golden.folder(), DType::f32);
  CHECK(model.info().image_height == 42);
  CHECK(model.info().num_tokens == 10);
  Session own = model.session().value();
  const TestPicture picture(42, 42);
  const Output out = own.run(picture.view).value();
  const Kept same = run(model, 42, 42);
  CHECK(std::equal(out.tokens.begin(), out.tokens.end(), same.tokens.begin(), same.tokens.end()));
}

TEST_CASE("int8: every family gives the same bits on every class of CPU, and each token points where f32's does") {
  double lowest = 1;
  for (const auto& source : cases()) {
    CAPTURE(source.filename().string());
    const GoldenModel golden(source);
    const Model exact = load(golden.folder(), DType::f32);
    const auto dim = static_cast<std::size_t>(exact.info().embed_dim);
    std::vector<std::pair<std::string, Model>> models;  // each loaded as its class reads weights
    for (const auto& platform : platforms()) {
      const CpuLimit limit(platform.name);
      models.emplace_back(platform.name, load(golden.folder(), DType::int8));
    }
    const auto description = json_of(source / "case.json");
    for (const auto& size : description.at("sizes")) {
      const int height = size.at("height"), width = size.at("width");
      CAPTURE(height);
      CAPTURE(width);
      Kept first;
      for (const auto& [name, model] : models) {
        CAPTURE(name);
        const CpuLimit limit(name);
        const Kept kept = run(model, height, width, 2);
        if (first.all.empty()) first = kept;
        REQUIRE(kept.all.size() == first.all.size());
        CHECK(std::memcmp(kept.all.data(), first.all.data(), first.all.size() * sizeof(float)) == 0);
      }
      const Kept f32 = run(exact, height, width);
      for (std::size_t t = 0; t < static_cast<std::size_t>(f32.num_tokens); ++t) {
        const double c = cosine(first.tokens.data() + t * dim, f32.tokens.data() + t * dim, dim);
        lowest = std::min(lowest, c);
        CHECK(c >= 0.999);
      }
    }
  }
  MESSAGE("lowest cosine of a token: " << lowest);
}

TEST_CASE("sizes that cannot be are refused by name") {
  const GoldenModel golden(goldens() / "families" / "clip");
  const Model model = load(golden.folder(), DType::f32);
  const auto says = [&](int height, int width, const char* text) {
    const std::string message = refused(model, height, width);
    CAPTURE(message);
    CHECK(message.find(text) != std::string::npos);
  };
  says(50, 64, "height 48 or 56, width 64");
  says(3, 8, "height 8, width 8");
  says(-8, 8, "-8 × 8");
  says(0, 48, "expected both or neither");
  says(48, 0, "expected both or neither");
  says(8200, 8, "1 to 8192");
  says(2147483647, 2147483647, "1 to 8192");
  says(8192, 8192, "tokens, expected at most 65536");
}

TEST_CASE("a table that is not square serves its own size only") {
  const GoldenModel golden(goldens() / "vit" / "vit_wide_image");
  const Model model = load(golden.folder(), DType::f32);
  CHECK(model.session({.image_height = 48, .image_width = 112}));
  CHECK(refused(model, 64, 64).find("not square") != std::string::npos);
}

TEST_CASE("a relative bias is added to scores in f32, and the session says so") {
  const GoldenModel golden(goldens() / "families" / "beit");
  const Model model = load(golden.folder(), DType::int8);
  CHECK(model.session().value().describe().find("dtype: int8, attention f32") != std::string::npos);
}

TEST_CASE("pictures of any size are prepared for the session's size") {
  const GoldenModel golden(goldens() / "families" / "dinov2");
  const Model model = load(golden.folder(), DType::f32);
  Session session = model.session({.image_height = 70, .image_width = 98}).value();
  const TestPicture picture(131, 97);
  const Output out = session.run(picture.view).value();
  CHECK(out.grid_rows == 5);
  CHECK(out.grid_columns == 7);
}

TEST_CASE("a configuration with one flag changed is refused, and the message names the flag or the tensor") {
  const auto says = [](const char* name, const std::string& key, const nlohmann::json& value, const char* text) {
    CAPTURE(key);
    const std::string message = refused(name, [&](nlohmann::json& config) { config[key] = value; });
    CAPTURE(message);
    CHECK(message.find(text) != std::string::npos);
  };
  says("dinov2", "model_type", "dinov9", "dinov2_with_registers");
  says("dinov2", "model_type", "vit", "architectures");
  says("dinov2", "use_swiglu_ffn", true, "weights_in");
  says("dinov2", "num_register_tokens", 4, "num_register_tokens");
  says("dinov2", "mlp_ratio", 4, "mlp.fc1.weight");
  says("dinov2", "mlp_ratio", 1000, "mlp.fc1.weight");
  says("dinov2", "mlp_ratio", 0.001, "\"mlp_ratio\": found 0.001, expected at least one inner value");
  CHECK(refused("dinov2", [](nlohmann::json& config) {
          config["hidden_size"] = 128;
          config["mlp_ratio"] = 1000;
        }).find("\"mlp_ratio\": found 1000, expected at most 66047 inner values") != std::string::npos);
  says("dinov2", "image_size", 70, "position_embeddings");
  says("dinov2", "image_size", {56, 56}, "image_size");
  says("dinov2", "qkv_bias", false, "has no place");
  says("beit", "use_absolute_position_embeddings", true, "a table beside the relative bias is not run");
  says("beit", "use_relative_position_bias", false, "use_relative_position_bias");
  says("beit", "use_shared_relative_position_bias", true, "use_relative_position_bias");
  says("beit", "use_mean_pooling", false, "layernorm.weight");
  says("beit", "layer_scale_init_value", 0, "lambda_1");
  says("beit", "image_size", 64, "the network's image size");
  says("beit", "architectures", {"BeitForMaskedImageModeling"}, "BeitForImageClassification");
  says("beit_shared_cls", "use_mean_pooling", true, "pooler.layernorm");
  says("beit_shared_cls", "layer_scale_init_value", 0.1, "lambda_1");
  says("data2vec_labels", "model_type", "beit", "architectures");
  says("data2vec_labels", "id2label", {{"0", "a"}}, "classifier.weight");
  says("dinov2_registers", "num_register_tokens", 3, "register_tokens");
  says("dinov2_registers", "num_register_tokens", 0, "register_tokens");
  says("clip", "hidden_act", "silu", "hidden_act");
  says("clip", "projection_dim", 32, "visual_projection");
  says("clip", "patch_size", 16, "patch_embedding");
  says("clip", "architectures", {"CLIPVisionModel"}, "visual_projection");
  says("clip_whole", "vision_config", {{"hidden_size", 64}, {"num_attention_heads", 3}}, "heads");
  says("siglip", "vision_use_head", false, "head.");
  says("siglip", "num_hidden_layers", 3, "encoder.layers.2");
  says("dinov3", "use_gated_mlp", true, "hidden_act");
  says("dinov3", "key_bias", true, "k_proj.bias");
  says("dinov3", "num_attention_heads", 32, "multiple of 4");
  says("ijepa", "model_type", "vit", "architectures");
}

TEST_CASE("timm: a configuration that contradicts its tensors, or another network's name, is refused by name") {
  const auto says = [](const std::string& name, const std::string& key, const nlohmann::json& value, const char* text) {
    CAPTURE(name);
    CAPTURE(key);
    const std::string message = refused(
        name,
        [&](nlohmann::json& config) {
          (key == "architecture" || key == "num_classes" || key == "global_pool" ? config
                                                                                 : config.at("model_args"))[key] =
              value;
        },
        "timm");
    CAPTURE(message);
    CHECK(message.find(text) != std::string::npos);
  };
  // Each family's files under another family's name.
  says("dinov2", "architecture", "vit_small_patch14_224", "(LayerScale), which is not run");
  says("dinov2", "architecture", "vit_small_patch14_reg4_dinov2", "one position per patch (16): registers have none");
  says("dinov2", "architecture", "vit_giant_patch14_dinov2", "\"blocks.0.mlp.fc2.weight\": found shape [64, 128]");
  says("dinov2", "architecture", "vit_small_patch16_dinov3", "(LayerScale)");
  says("dinov2_reg4", "architecture", "vit_base_patch14_dinov2", "(register tokens), which is not run");
  says("dinov2_giant", "architecture", "vit_base_patch14_reg4_dinov2", "mlp.fc2.weight");
  says("clip", "architecture", "vit_large_patch14_224", "as in CLIP), which is not run");
  says("dinov3", "architecture", "vit_small_plus_patch16_dinov3", "blocks.0.mlp.fc1_g.weight");
  says("dinov3", "architecture", "vit_small_patch16_dinov3_qkvb", "attn.q_bias\" is missing");
  says("dinov3_plus", "architecture", "vit_small_plus_patch16_dinov3", "q_bias\" [64] has no place");
  says("siglip", "architecture", "vit_base_patch16_siglip_gap_224", "found \"map\", expected \"token\" or \"avg\"");
  says("siglip", "architecture", "vit_base_patch16_224", "found \"map\"");
  // Names that look like a family's and are not registered.
  for (const char* name : {"vit_small_patch14_dinov4", "vit_huge_patch14_dinov2", "vit_giant_patch16_dinov3",
                           "vit_small_patch14_reg3_dinov2", "vit_small_patch16_siglip_224",
                           "vit_base_patch16_siglip_quickgelu_224", "vit_base_patch16_reg4_clip_224",
                           "vit_base_plus_patch16_dinov3", "vit_so400m_patch14_224", "deit_base_patch16_clip_224"})
    says("dinov2", "architecture", name, name);
  // One argument changed.
  says("dinov2_reg4", "reg_tokens", 3, "\"model_args.reg_tokens\": found 3, expected 4");
  says("dinov2_reg4", "no_embed_class", false, "no_embed_class");
  says("dinov2_giant", "act_layer", "gelu", "\"silu\" (SwiGLU)");
  says("dinov2", "mlp_ratio", 4, "fc1.weight");
  says("dinov2", "num_heads", 5, "a multiple of the 5 heads");
  says("clip", "pre_norm", false, "\"model_args.pre_norm\": found false, expected true");
  says("clip_quickgelu", "num_classes", 25, "\"head.weight\": found shape [24, 64]");
  says("clip_quickgelu", "act_layer", "silu", "act_layer");
  says("siglip", "class_token", true, "cls_token");
  says("siglip", "global_pool", "avg", "found \"avg\", expected \"map\"");
  says("siglip", "img_size", 64, "pos_embed");
  says("dinov3", "num_reg_tokens", 2, "\"model_args.num_reg_tokens\": found 2, expected 4");
  says("dinov3", "rope_temperature", 10, "rope_temperature");
  says("dinov3", "num_heads", 32, "a multiple of 4 for rotary positions");
  // A pooling that the network has no token for.
  const auto pools = [](const char* name, const char* pool) {
    const auto edit = [&](nlohmann::json& config) {
      config["global_pool"] = pool;
      config["model_args"]["global_pool"] = pool;
    };
    return refused(name, edit, "vit");
  };
  CHECK(pools("timm_avg_no_cls", "token").find("global_pool \"token\" needs the tensor \"cls_token\"") !=
        std::string::npos);
  CHECK(pools("timm_distilled", "avg").find("a distilled network needs global_pool \"token\"") != std::string::npos);
}

// Sound networks of both formats, and what is refused of their tensors and folders. Configurations: config_test.cpp.
#include "runtime/model/network.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>

#include "tests/support/messages.hpp"
#include "tests/support/tiny_networks.hpp"

using namespace vitrail;
using namespace vitrail::test;

namespace {

using Edit = std::function<void(TinyFolder&)>;

void huggingface_refused(const Edit& edit, ErrorCode code, std::initializer_list<std::string_view> parts) {
  TinyFolder f;
  make_huggingface(f);
  edit(f);
  check_error(read_network(f.write()), code, parts);
}

void timm_refused(const Edit& edit, ErrorCode code, std::initializer_list<std::string_view> parts) {
  TinyFolder f;
  make_timm(f);
  edit(f);
  check_error(read_network(f.write()), code, parts);
}

std::string failure(const Result<NetworkSource>& result) { return result ? "" : result.error().message; }

void check_bytes(const TensorView& view, const TestTensor& tensor) {
  CHECK(view.name == tensor.name);
  CHECK(std::string(reinterpret_cast<const char*>(view.data), view.size_bytes()) == tensor.bytes);
}

}  // namespace

TEST_CASE("Hugging Face ViT: every tensor in its place") {
  TinyFolder f;
  make_huggingface(f);
  auto network = read_network(f.write());
  REQUIRE_MESSAGE(network, failure(network));
  const VitConfig& c = network->config;
  CHECK(c.family == "vit");
  CHECK(c.format == "huggingface");
  CHECK(c.num_tokens() == 5);
  CHECK(c.head_dim() == 16);
  CHECK(c.num_labels == 3);
  CHECK(c.labels == std::vector<std::string>{"cat", "dog", "newt"});
  CHECK(c.layer_norm_eps == 1e-12f);
  CHECK(c.activation == Activation::gelu_erf);
  CHECK(c.preprocess.resize == PreprocessConfig::Resize::exact);
  CHECK(c.preprocess.resize_height == 32);
  CHECK_FALSE(c.preprocess.center_crop);
  CHECK(c.preprocess.mean[2] == 0.125);
  CHECK(c.preprocess.std[2] == 2);
  CHECK(c.preprocess.rescale == 1.0 / 255);
  REQUIRE(network->blocks.size() == 2);
  const std::string block = "vit.encoder.layer.1.";
  const BlockSource& b = network->blocks[1];
  REQUIRE(b.qkv.weights.size() == 3);
  check_bytes(b.qkv.weights[0], f.tensor(block + "attention.attention.query.weight"));
  check_bytes(b.qkv.weights[1], f.tensor(block + "attention.attention.key.weight"));
  check_bytes(*b.qkv.biases[2], f.tensor(block + "attention.attention.value.bias"));
  check_bytes(b.proj.weights[0], f.tensor(block + "attention.output.dense.weight"));
  check_bytes(b.fc1.weights[0], f.tensor(block + "intermediate.dense.weight"));
  check_bytes(*b.fc2.biases[0], f.tensor(block + "output.dense.bias"));
  check_bytes(b.norm1.weight, f.tensor(block + "layernorm_before.weight"));
  check_bytes(b.norm2.bias, f.tensor(block + "layernorm_after.bias"));
  check_bytes(*network->positions, f.tensor("vit.embeddings.position_embeddings"));
  check_bytes(network->patch_weight, f.tensor("vit.embeddings.patch_embeddings.projection.weight"));
  check_bytes(network->norm->weight, f.tensor("vit.layernorm.weight"));
  check_bytes(network->head->weights[0], f.tensor("classifier.weight"));
  CHECK_FALSE(network->pooler);
  CHECK_FALSE(network->head_dist);
}

TEST_CASE("Hugging Face: other shapes of the same files") {
  TinyFolder f;
  SUBCASE("ViTModel: no prefix, a pooler, no head") {
    make_huggingface(f);
    f.config["architectures"] = {"ViTModel"};
    f.remove("classifier.weight");
    f.remove("classifier.bias");
    f.rename("vit.", "");
    f.add_linear("pooler.dense", 32, 32);
    auto network = read_network(f.write());
    REQUIRE_MESSAGE(network, failure(network));
    CHECK(network->pooler);
    CHECK_FALSE(network->head);
    CHECK(network->config.num_labels == 0);
    CHECK(network->config.labels.empty());
  }
  SUBCASE("the module names of transformers 5") {
    make_huggingface(f);
    f.rename("encoder.layer.", "layers.");
    f.rename("attention.attention.query", "attention.q_proj");
    f.rename("attention.attention.key", "attention.k_proj");
    f.rename("attention.attention.value", "attention.v_proj");
    f.rename("attention.output.dense", "attention.o_proj");
    f.rename("intermediate.dense", "mlp.fc1");
    f.rename("output.dense", "mlp.fc2");
    auto network = read_network(f.write());
    REQUIRE_MESSAGE(network, failure(network));
    check_bytes(network->blocks[0].qkv.weights[1], f.tensor("vit.layers.0.attention.k_proj.weight"));
    check_bytes(network->blocks[1].fc2.weights[0], f.tensor("vit.layers.1.mlp.fc2.weight"));
  }
  SUBCASE("no biases of query, key and value; no architectures; buffers without effect") {
    make_huggingface(f);
    f.config["qkv_bias"] = false;
    f.config.erase("architectures");
    for (const char* layer : {"0", "1"})
      for (const char* part : {"query", "key", "value"})
        f.remove(std::string("vit.encoder.layer.") + layer + ".attention.attention." + part + ".bias");
    f.add("vit.embeddings.mask_token", {1, 1, 32});
    f.add_linear("vit.pooler.dense", 32, 32);
    f.tensors.push_back({"vit.embeddings.position_ids", {1, 5}, std::string(40, '\0'), "I64"});
    auto network = read_network(f.write());
    REQUIRE_MESSAGE(network, failure(network));
    CHECK_FALSE(network->blocks[0].qkv.biases[0]);
    CHECK(network->head);
    CHECK_FALSE(network->pooler);
  }
  SUBCASE("DeiT with teacher") {
    make_huggingface(f, "deit");
    auto network = read_network(f.write());
    REQUIRE_MESSAGE(network, failure(network));
    CHECK(network->config.num_tokens() == 6);
    check_bytes(*network->dist, f.tensor("deit.embeddings.distillation_token"));
    check_bytes(network->head->weights[0], f.tensor("cls_classifier.weight"));
    check_bytes(network->head_dist->weights[0], f.tensor("distillation_classifier.weight"));
  }
  SUBCASE("in shards and in half precision") {
    make_huggingface(f);
    f.tensor("classifier.bias").dtype = "F16";
    f.tensor("classifier.bias").bytes = std::string("\0\x3c\0\xc0\1\0", 6);  // 1, -2, 2^-24
    auto folder = f.write();
    auto half = f.tensors.begin() + static_cast<std::ptrdiff_t>(f.tensors.size() / 2);
    nlohmann::json map;
    for (auto it = f.tensors.begin(); it != f.tensors.end(); ++it)
      map[it->name] = it < half ? "1.safetensors" : "2.safetensors";
    write_file(folder / "1.safetensors", safetensors_file({f.tensors.begin(), half}));
    write_file(folder / "2.safetensors", safetensors_file({half, f.tensors.end()}));
    write_file(folder / "model.safetensors.index.json", nlohmann::json{{"weight_map", map}}.dump());
    std::filesystem::remove(folder / "model.safetensors");
    auto network = read_network(folder);
    REQUIRE_MESSAGE(network, failure(network));
    float bias[3];
    to_f32(*network->head->biases[0], 0, 3, bias);
    CHECK(bias[0] == 1);
    CHECK(bias[1] == -2);
    CHECK(bias[2] == std::ldexp(1.0f, -24));
  }
}

TEST_CASE("timm ViT and distilled DeiT") {
  TinyFolder f;
  SUBCASE("vit") {
    make_timm(f);
    f.config["label_names"] = {"n1", "n2", "n3"};
    f.config["label_descriptions"] = {{"n2", "dog"}};
    auto network = read_network(f.write());
    REQUIRE_MESSAGE(network, failure(network));
    const VitConfig& c = network->config;
    CHECK(c.format == "timm");
    CHECK(c.mlp_dim == 64);
    CHECK(c.layer_norm_eps == 1e-6f);
    CHECK(c.position_prefix);
    CHECK(c.labels == std::vector<std::string>{"n1", "dog", "n3"});
    CHECK(c.preprocess.resize == PreprocessConfig::Resize::shortest_edge);
    CHECK(c.preprocess.resize_height == 35);  // floor(32 / 0.9)
    CHECK(c.preprocess.center_crop);
    CHECK(c.preprocess.crop_height == 32);
    CHECK(c.preprocess.crop_offset == PreprocessConfig::CropOffset::half_even);
    CHECK(c.preprocess.resample == Resampling::bicubic);
    check_bytes(network->blocks[1].qkv.weights[0], f.tensor("blocks.1.attn.qkv.weight"));
    check_bytes(network->blocks[1].fc2.weights[0], f.tensor("blocks.1.mlp.fc2.weight"));
    check_bytes(network->norm->bias, f.tensor("norm.bias"));
  }
  SUBCASE("distilled") {
    make_timm(f, true);
    auto network = read_network(f.write());
    REQUIRE_MESSAGE(network, failure(network));
    CHECK(network->config.family == "deit");
    CHECK(network->config.num_tokens() == 6);
    CHECK(network->head_dist);
  }
  SUBCASE("no CLS token, mean of the tokens, norm after it, positions of the patches only, flat old config") {
    make_timm(f);
    f.remove("cls_token");
    f.tensor("pos_embed") = f32_tensor("pos_embed", {1, 4, 32}, [](auto) { return 0; });
    for (const char* part : {"weight", "bias"})
      f.tensor(std::string("norm.") + part).name = std::string("fc_norm.") + part;
    f.config["model_args"].update({{"class_token", false}, {"global_pool", "avg"}});
    f.config["global_pool"] = "avg";
    f.config.update(f.config["pretrained_cfg"]);
    f.config.erase("pretrained_cfg");
    auto network = read_network(f.write());
    REQUIRE_MESSAGE(network, failure(network));
    CHECK(network->config.num_tokens() == 4);
    CHECK(network->config.pool == Pool::mean);
    CHECK(network->pool_norm);
    CHECK_FALSE(network->norm);
    CHECK_FALSE(network->cls);
  }
  SUBCASE("CLS without a position, no head") {
    make_timm(f);
    f.tensor("pos_embed") = f32_tensor("pos_embed", {1, 4, 32}, [](auto) { return 0; });
    f.config["model_args"]["no_embed_class"] = true;
    f.config["num_classes"] = 0;
    f.remove("head.weight");
    f.remove("head.bias");
    auto network = read_network(f.write());
    REQUIRE_MESSAGE(network, failure(network));
    CHECK_FALSE(network->config.position_prefix);
    CHECK(network->config.num_labels == 0);
    CHECK_FALSE(network->head);
  }
}

TEST_CASE("folders") {
  TemporaryFolder dir;
  check_error(read_network(dir / "nowhere"), ErrorCode::io, {"nowhere: no such folder"});
  check_error(read_network(dir.path()), ErrorCode::io, {"found no config.json"});
  write_file(dir / "file", "x");
  check_error(read_network(dir / "file"), ErrorCode::io, {"is a file, expected the folder"});
  write_file(dir / "config.json", "[1]");
  check_error(read_network(dir.path()), ErrorCode::bad_file, {"config.json: found [1], expected a JSON object"});
  write_file(dir / "config.json", "{\"a\":1,\"a\":2}");
  check_error(read_network(dir.path()), ErrorCode::bad_file, {"config.json: the key \"a\" is given twice"});
  write_file(dir / "config.json", "{} trailing");
  check_error(read_network(dir.path()), ErrorCode::bad_file, {"config.json: is not valid JSON"});
  write_file(dir / "config.json", "{}");
  check_error(read_network(dir.path()), ErrorCode::unsupported, {"config.json", "\"model_type\"", "\"architecture\""});

  TinyFolder f;
  make_huggingface(f);
  auto folder = f.write();
  std::filesystem::remove(folder / "preprocessor_config.json");
  check_error(read_network(folder), ErrorCode::io, {"preprocessor_config.json", "image_mean"});
  f.write();
  std::filesystem::remove(folder / "model.safetensors");
  check_error(read_network(folder), ErrorCode::io, {"found neither model.safetensors nor"});
  write_file(folder / "pytorch_model.bin", "x");
  check_error(read_network(folder), ErrorCode::io, {"pytorch_model.bin is there"});
}

TEST_CASE("leading lengths of 1 are dropped, so that a weight is read as the matrix it is") {
  TinyFolder f;
  make_huggingface(f);
  for (const char* name : {"classifier.weight", "vit.encoder.layer.0.intermediate.dense.weight"}) {
    auto& shape = f.tensor(name).shape;
    shape.insert(shape.begin(), 1);
  }
  auto network = read_network(f.write());
  REQUIRE_MESSAGE(network, failure(network));
  CHECK(network->head->weights[0].shape == std::vector<std::int64_t>{3, 32});
  CHECK(network->blocks[0].fc1.weights[0].shape == std::vector<std::int64_t>{64, 32});
  const TensorView rows = network->blocks[0].fc1.weights[0].rows(10, 2);
  CHECK(rows.shape == std::vector<std::int64_t>{2, 32});
  float whole = 0, part = 0;
  to_f32(network->blocks[0].fc1.weights[0], 11 * 32 + 5, 1, &whole);
  to_f32(rows, 32 + 5, 1, &part);
  CHECK(whole == part);
}

TEST_CASE("tensors that are missing, of another shape or type, or too many") {
  const std::string fc1 = "vit.encoder.layer.1.intermediate.dense.weight";
  huggingface_refused([&](auto& f) { f.remove(fc1); }, ErrorCode::bad_file,
                      {"model.safetensors: tensor \"" + fc1 + "\" is missing, expected shape [64, 32]"});
  huggingface_refused(
      [&](auto& f) {
        f.tensor(fc1).shape = {32, 64};
      },
      ErrorCode::bad_file, {"tensor \"" + fc1 + "\": found shape [32, 64], expected [64, 32]"});
  huggingface_refused([&](auto& f) { f.tensor(fc1).dtype = "I32"; }, ErrorCode::unsupported,
                      {"tensor \"" + fc1 + "\": found dtype I32, expected F32, F16 or BF16"});
  huggingface_refused([&](auto& f) { f.add("vit.encoder.layer.2.layernorm_before.weight", {32}); },
                      ErrorCode::unsupported,
                      {"\"vit.encoder.layer.2.layernorm_before.weight\" [32] has no place in the network"});
  huggingface_refused([](auto& f) { f.remove("classifier.weight"); }, ErrorCode::bad_file,
                      {"\"classifier.weight\" is missing"});
  huggingface_refused([](auto& f) { f.config["architectures"] = {"ViTModel"}; }, ErrorCode::unsupported,
                      {"\"classifier.bias\"", "no place"});
  huggingface_refused([](auto& f) { f.config["qkv_bias"] = false; }, ErrorCode::unsupported,
                      {"key.bias\" [32] has no place"});
  huggingface_refused([](auto& f) { f.config["num_hidden_layers"] = 3; }, ErrorCode::bad_file,
                      {"vit.encoder.layer.2.", "missing"});
  huggingface_refused(
      [](auto& f) {
        f.config["image_size"] = 64;
        f.preprocessor["size"] = 64;
      },
      ErrorCode::bad_file, {"position_embeddings\": found shape [1, 5, 32], expected [17, 32]"});
  timm_refused([](auto& f) { f.remove("blocks.1.attn.qkv.bias"); }, ErrorCode::bad_file,
               {"\"blocks.1.attn.qkv.bias\" is missing"});
  timm_refused([](auto& f) { f.remove("norm.weight"); }, ErrorCode::bad_file, {"\"norm.weight\" is missing"});
  timm_refused([](auto& f) { f.remove("cls_token"); }, ErrorCode::bad_file, {"tensor \"cls_token\" is missing"});
  timm_refused(
      [](auto& f) {
        f.add("dist_token", {1, 1, 32});
      },
      ErrorCode::unsupported, {"\"dist_token\" [1, 1, 32] has no place"});
  timm_refused([](auto& f) { f.add_norm("fc_norm"); }, ErrorCode::unsupported, {"\"fc_norm.bias\" [32] has no place"});
  timm_refused([](auto& f) { f.config["num_classes"] = 5; }, ErrorCode::bad_file,
               {"\"head.weight\": found shape [3, 32], expected [5, 32]"});
  timm_refused([](auto& f) { f.config["model_args"]["mlp_ratio"] = 3; }, ErrorCode::bad_file,
               {"fc1.weight\": found shape [64, 32], expected [96, 32]"});
  timm_refused([](auto& f) { f.config["model_args"]["no_embed_class"] = true; }, ErrorCode::bad_file,
               {"pos_embed", "no_embed_class"});
}

TEST_CASE("two heads need a distillation token, which only DeiT has") {
  const auto two_heads = [](TinyFolder& f) {
    f.rename("classifier", "cls_classifier");
    f.add_linear("distillation_classifier", 3, 32);
  };
  const std::initializer_list<std::string_view> parts = {
      "model.safetensors: found two heads (\"cls_classifier\", \"distillation_classifier\") in a network of "
      "\"model_type\" \"vit\", expected \"deit\""};
  huggingface_refused(
      [&](TinyFolder& f) {
        two_heads(f);
        f.config["architectures"] = {"DeiTForImageClassificationWithTeacher"};
      },
      ErrorCode::unsupported, parts);
  huggingface_refused(
      [&](TinyFolder& f) {
        two_heads(f);
        f.config.erase("architectures");
      },
      ErrorCode::unsupported, parts);
}

TEST_CASE("variants that change the arithmetic are refused by the tensors that give them away") {
  struct Variant {
    const char *tensor, *meaning;
  };
  for (Variant v : {Variant{"blocks.0.ls1.gamma", "LayerScale"},
                    {"reg_token", "register tokens"},
                    {"norm_pre.weight", "as in CLIP"},
                    {"attn_pool.latent", "attention pooling"},
                    {"blocks.1.attn.q_norm.weight", "normalised queries and keys"},
                    {"blocks.0.attn.relative_position_bias_table", "relative position bias"},
                    {"pre_logits.fc.weight", "representation layer"},
                    {"patch_embed.backbone.stem.conv.weight", "convolutional stem"}})
    timm_refused(
        [&](auto& f) { f.add(v.tensor, {32}); }, ErrorCode::unsupported,
        {"model.safetensors: this network has \"" + std::string(v.tensor) + "\"", v.meaning, "which is not run"});
}

TEST_CASE("random networks: the same numbers everywhere") {
  auto network = random_network("deit_tiny_distilled_patch16_224");
  REQUIRE_MESSAGE(network, failure(network));
  CHECK(network->config.num_tokens() == 198);
  CHECK(network->config.num_heads == 3);
  CHECK(network->head_dist);
  CHECK(network->config.preprocess.resize_height == 248);
  const TensorView& fc2 = network->blocks[11].fc2.weights[0];
  CHECK(fc2.shape == std::vector<std::int64_t>{192, 768});
  std::vector<float> values(static_cast<std::size_t>(fc2.elements()));
  to_f32(fc2, 0, fc2.elements(), values.data());
  double sum = 0, squares = 0;
  for (float x : values) sum += x, squares += double{x} * x;
  CHECK(std::abs(sum / static_cast<double>(values.size())) < 1e-3);
  CHECK(std::sqrt(squares / static_cast<double>(values.size()) * 768) == doctest::Approx(1).epsilon(0.01));
  float again = 0;
  to_f32(random_network("deit_tiny_distilled_patch16_224")->blocks[11].fc2.weights[0], 5, 1, &again);
  CHECK(again == values[5]);

  CHECK(random_network("vit_tiny_patch32_384")->config.num_tokens() == 145);
  for (const char* name :
       {"", "vit", "resnet50", "vit_tiny", "vit_tiny_patch16", "vit_teeny_patch16_224", "vit_tiny_patch15_224",
        "vit_tiny_patch0_224", "vit_base_patch16_rpn_224", "vit_base_patch16_clip_224", "deit3_base_patch16_224",
        "vit_tiny_distilled_patch16_224", "vit_tiny_patch16_9999999999999"})
    check_error(random_network(name), ErrorCode::invalid_argument, {"architecture \"" + std::string(name)});
  check_error(random_network("resnet50"), ErrorCode::invalid_argument, {"run are (vit|deit)_(tiny|", "_patch<pixels>"});
}

TEST_CASE("a published network: DeiT-Tiny as timm distributes it") {
  const char* given = std::getenv("VITRAIL_REAL");
  auto folder = (given ? std::filesystem::path(given) : std::filesystem::path(VITRAIL_SOURCE_DIR) / "../shared/real") /
                "deit_tiny";
  if (!std::filesystem::exists(folder / "model.safetensors")) {
    MESSAGE("skipped: no ", folder.string(), " (set VITRAIL_REAL to the folder that holds it)");
    return;
  }
  auto network = read_network(folder);
  REQUIRE_MESSAGE(network, failure(network));
  CHECK(network->config.embed_dim == 192);
  CHECK(network->config.num_heads == 3);
  CHECK(network->config.num_labels == 1000);
  CHECK(network->config.preprocess.resize_height == 256);
  CHECK(network->blocks.size() == 12);
}

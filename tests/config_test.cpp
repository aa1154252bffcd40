// What config.json and preprocessor_config.json may say; everything else is refused with file, key, found and expected.
#include <doctest/doctest.h>

#include <array>
#include <map>

#include "runtime/model/architecture.hpp"
#include "runtime/model/config.hpp"
#include "runtime/model/network.hpp"
#include "tests/support/golden.hpp"
#include "tests/support/messages.hpp"
#include "tests/support/tiny_networks.hpp"

using namespace vitrail;
using namespace vitrail::test;
using nlohmann::json;

namespace {

using Parts = std::initializer_list<std::string_view>;

enum class From { huggingface, deit, timm };

/// A sound folder with `patch` merged into its config (null erases) and `preprocessor` into the preprocessor's.
Result<NetworkSource> read(From from, const json& patch, const json& preprocessor = json::object()) {
  TinyFolder f;
  if (from == From::timm) {
    make_timm(f);
    f.config.merge_patch(patch);
  } else {
    make_huggingface(f, from == From::deit ? "deit" : "vit");
    f.config.update(patch);
    f.preprocessor.update(preprocessor);
  }
  return read_network(f.write());
}

void refused(From from, const json& patch, ErrorCode code, Parts parts) {
  INFO("patch: ", patch.dump());
  check_error(read(from, patch), code, parts);
}

void number_refused(const json& patch, Parts parts) { refused(From::huggingface, patch, ErrorCode::bad_file, parts); }

VitConfig accepted(const Result<NetworkSource>& network) {
  REQUIRE_MESSAGE(network, (network ? "" : network.error().message));
  return network->config;
}

void pixels_refused(const json& patch, ErrorCode code, Parts parts, From from = From::huggingface) {
  INFO("patch: ", patch.dump());
  auto result = read(from, json::object(), patch);
  check_error(result, code, parts);
  if (!result) CHECK(result.error().message.find("preprocessor_config.json: ") != std::string::npos);
}

}  // namespace

TEST_CASE("Hugging Face: absurd numbers") {
  number_refused({{"hidden_size", -3}}, {"config.json: \"hidden_size\": found -3, expected an integer from 1 to 8192"});
  number_refused({{"hidden_size", 0}}, {"found 0, expected an integer from 1"});
  number_refused({{"hidden_size", 1e300}}, {"\"hidden_size\": found 1e+300"});
  number_refused({{"hidden_size", 32.5}}, {"\"hidden_size\": found 32.5"});
  number_refused({{"hidden_size", "32"}}, {"\"hidden_size\": found \"32\""});
  number_refused({{"hidden_size", 18446744073709551615u}}, {"found 18446744073709551615"});
  number_refused({{"hidden_size", 4294967328}}, {"found 4294967328"});  // 32 + 2^32
  number_refused({{"hidden_size", 33}}, {"embedding width: found 33, expected a multiple of the 2 heads"});
  number_refused({{"hidden_size", 1024}}, {"width of a head: found 512, expected at most 256"});
  number_refused({{"num_hidden_layers", 1000}},
                 {"\"num_hidden_layers\": found 1000, expected an integer from 1 to 200"});
  number_refused({{"num_hidden_layers", 0}}, {"\"num_hidden_layers\": found 0"});
  number_refused({{"num_attention_heads", 0}}, {"\"num_attention_heads\": found 0"});
  number_refused({{"intermediate_size", 66000}},
                 {"\"intermediate_size\": found 66000, expected an integer from 1 to 65999"});
  number_refused({{"layer_norm_eps", 0}}, {"\"layer_norm_eps\": found 0, expected a number from 1e-30 to 1"});
  number_refused({{"layer_norm_eps", "1e-6"}}, {"\"layer_norm_eps\": found \"1e-6\""});
  number_refused({{"image_size", 40}}, {"image size: found 40 × 40, expected multiples of the patch size 16 × 16"});
  number_refused({{"image_size", 100000}}, {"\"image_size\": found 100000", "a pair of integers from 1 to 8192"});
  number_refused({{"image_size", {32, 32, 32}}}, {"\"image_size\": found [32, 32, 32]"});
  number_refused({{"image_size", {32, -32}}}, {"\"image_size\": found [32, -32]"});
  number_refused({{"patch_size", 0}}, {"\"patch_size\": found 0"});
  number_refused({{"patch_size", 160}, {"image_size", 160}},
                 {"elements of a patch: found 76800, expected fewer than 66000"});
  number_refused({{"patch_size", 1}, {"image_size", 256}}, {"tokens: found 65537, expected at most 65536"});
  number_refused({{"num_channels", 2}}, {"\"num_channels\": found 2, expected 1 or 3"});
  number_refused({{"num_channels", 4}}, {"\"num_channels\": found 4"});
  number_refused({{"qkv_bias", 1}}, {"\"qkv_bias\": found 1, expected true or false"});
}

TEST_CASE("Hugging Face: what is not run") {
  auto refuses = [](const json& patch, Parts parts) {
    refused(From::huggingface, patch, ErrorCode::unsupported, parts);
  };
  refuses({{"model_type", "swin"}},
          {"config.json: \"model_type\": found \"swin\", expected one of vit, deit, vit_msn, vit_mae, ijepa, dinov2"});
  refuses({{"model_type", "dinov2"}}, {"\"architectures\"", "Dinov2Model"});
  refuses({{"architectures", {"ViTForMaskedImageModeling"}}},
          {"[\"ViTForMaskedImageModeling\"]", "ViTModel, ViTForImageClassification"});
  refuses({{"architectures", {"A", "B"}}}, {"\"architectures\": found [\"A\", \"B\"]"});
  for (const char* name : {"relu", "quickgelu", "silu", "selu", "gelu_10", "linear"})
    refuses({{"hidden_act", name}}, {"\"hidden_act\": found", name, "expected gelu, gelu_python, gelu_new"});
  refuses({{"norm_first", false}}, {"\"norm_first\": found false, expected true (others are not run)"});
  refuses({{"use_post_norm", true}}, {"\"use_post_norm\": found true"});
  refuses({{"layer_scale_init_value", 1e-5}}, {"\"layer_scale_init_value\": found 1e-05"});
  refuses({{"qk_layernorm", true}}, {"\"qk_layernorm\""});
  refuses({{"use_swiglu_ffn", true}}, {"\"use_swiglu_ffn\""});
  refuses({{"num_register_tokens", 4}}, {"\"num_register_tokens\": found 4"});
  refuses({{"quantization_config", {{"bits", 4}}}}, {"\"quantization_config\": found an object with 1 keys"});
  refuses({{"auto_map", {{"AutoModel", "x.Y"}}}}, {"\"auto_map\""});
  refuses({{"pooler_act", "relu"}}, {"\"pooler_act\": found \"relu\", expected \"tanh\""});
  refuses({{"pooler_output_size", 16}}, {"\"pooler_output_size\": found 16, expected 32"});
  // The same keys with the values that change nothing.
  accepted(read(From::huggingface, {{"norm_first", true},
                                    {"use_swiglu_ffn", false},
                                    {"num_register_tokens", 0},
                                    {"auto_map", nullptr},
                                    {"layer_scale_init_value", false},
                                    {"pooler_output_size", 32},
                                    {"some_new_key", 5}}));
}

TEST_CASE("Hugging Face: defaults and spellings") {
  CHECK(accepted(read(From::huggingface, {{"hidden_act", "gelu_pytorch_tanh"}})).activation == Activation::gelu_tanh);
  CHECK(accepted(read(From::huggingface, {{"hidden_act", "gelu_fast"}})).activation == Activation::gelu_tanh);
  CHECK(accepted(read(From::huggingface, {{"hidden_act", "gelu_python"}})).activation == Activation::gelu_erf);
  CHECK(accepted(read(From::huggingface, {{"image_size", {32, 32}}, {"patch_size", {16, 16}}})).num_patches() == 4);
  CHECK(accepted(read(From::huggingface, {{"id2label", nullptr}, {"num_labels", 3}})).labels.empty());
  check_error(read(From::huggingface, {{"hidden_size", nullptr}, {"num_attention_heads", nullptr}}),
              ErrorCode::bad_file,
              {"\"vit.embeddings.cls_token\": found shape [1, 1, 32], expected [768]"});  // ViTConfig's default
  check_error(read(From::huggingface, {{"id2label", nullptr}}), ErrorCode::bad_file,
              {"classifier.weight", "expected [2, 32]"});
}

TEST_CASE("labels") {
  number_refused({{"id2label", {{"0", "a"}, {"1", "b"}, {"3", "c"}}}},
                 {"\"id2label\": found the key \"3\", expected integers from 0 to 2"});
  number_refused({{"id2label", {{"0", "a"}, {"01", "b"}, {"2", "c"}}}}, {"found the key \"01\""});
  number_refused({{"id2label", {{"0", "a"}, {"x", "b"}, {"2", "c"}}}}, {"found the key \"x\""});
  number_refused({{"id2label", {{"0", "a"}, {"-1", "b"}, {"2", "c"}}}}, {"found the key \"-1\""});
  number_refused({{"id2label", {{"0", "a"}, {"1", 7}, {"2", "c"}}}}, {"class 1: found 7, expected a string"});
  number_refused({{"id2label", "cats"}}, {"\"id2label\": found \"cats\""});
  number_refused({{"id2label", json::object()}}, {"\"id2label\": found an object with 0 keys"});
  number_refused({{"num_labels", 5}}, {"\"id2label\": found an object with 3 keys, expected 5 names"});
  refused(From::timm, {{"label_names", {"a", "b"}}}, ErrorCode::bad_file,
          {"\"label_names\": found [\"a\", \"b\"]", "names of 3 classes"});
}

TEST_CASE("timm: absurd values, contradictions and variants") {
  auto bad = [](const json& patch, Parts parts) { refused(From::timm, patch, ErrorCode::bad_file, parts); };
  auto refuses = [](const json& patch, Parts parts) { refused(From::timm, patch, ErrorCode::unsupported, parts); };
  bad({{"model_args", {{"depth", 0}}}},
      {"config.json: \"model_args.depth\": found 0, expected an integer from 1 to 200"});
  bad({{"model_args", {{"num_heads", 5}}}}, {"embedding width: found 32, expected a multiple of the 5 heads"});
  bad({{"model_args", {{"img_size", 40}}}}, {"image size: found 40 × 40"});
  bad({{"model_args", 5}}, {"\"model_args\": found 5, expected an object"});
  bad({{"pretrained_cfg", {{"input_size", {3, 32}}}}},
      {"\"pretrained_cfg.input_size\": found [3, 32], expected [channels, height, width]"});
  bad({{"pretrained_cfg", {{"input_size", nullptr}}}}, {"\"pretrained_cfg.input_size\": is missing"});
  bad({{"pretrained_cfg", {{"input_size", {3, 0, 32}}}}}, {"\"pretrained_cfg.input_size\": found [3, 0, 32]"});
  bad({{"pretrained_cfg", {{"input_size", {2, 32, 32}}}}}, {"expected 1 or 3 channels"});
  bad({{"num_features", 64}}, {"\"num_features\": found 64, expected 32"});
  bad({{"num_classes", -1}}, {"\"num_classes\": found -1"});
  bad({{"global_pool", "avg"}, {"model_args", {{"global_pool", "token"}}}},
      {"\"global_pool\": found \"avg\", expected \"token\" as in"});
  bad({{"architecture", 3}}, {"\"architecture\": found 3, expected a string"});
  for (const char* pool : {"map", "max", "avgmax", ""})
    refuses({{"global_pool", pool}}, {"\"global_pool\": found", pool, "\"token\" or \"avg\""});
  refuses({{"architecture", "resnet50"}},
          {"config.json: \"architecture\": architecture \"resnet50\"", "run are (vit|deit)_("});
  for (const char* name :
       {"vit_base_patch16_rpn_224", "vit_base_patch16_quickgelu_224", "vit_base_r50_s16_224", "deit3_small_patch16_224",
        "flexivit_small", "vit_medium_patch16_reg4_gap_256", "vit_small_patch16_18x2_224",
        "vit_dlittle_patch16_reg1_gap_256", "vit_base_patch32_plus_256", "vit_xsmall_patch16_224",
        "vit_base_patch16_xp_224", "beit_base_patch16_224"})
    refuses({{"architecture", name}}, {"architecture \"" + std::string(name) + "\""});
  refuses({{"model_args", {{"act_layer", "quick_gelu"}}}}, {"\"model_args.act_layer\": found \"quick_gelu\""});
  refuses({{"model_args", {{"norm_layer", "rmsnorm"}}}},
          {"\"model_args.norm_layer\": found \"rmsnorm\", expected \"layernorm\""});
  refuses({{"model_args", {{"init_values", 1e-5}}}}, {"\"model_args.init_values\": found 1e-05, expected null"});
  refuses({{"model_args", {{"reg_tokens", 4}}}}, {"\"model_args.reg_tokens\": found 4, expected 0"});
  refuses({{"model_args", {{"pre_norm", true}}}}, {"\"model_args.pre_norm\""});
  refuses({{"model_args", {{"final_norm", false}}}}, {"\"model_args.final_norm\""});
  refuses({{"model_args", {{"block_fn", "ResPostBlock"}}}}, {"\"model_args.block_fn\": found \"ResPostBlock\""});
  accepted(read(
      From::timm,
      {{"model_args",
        {{"drop_rate", 0.1}, {"reg_tokens", 0}, {"init_values", nullptr}, {"img_size", 32}, {"qkv_bias", true}}}}));
}

TEST_CASE("timm: pictures") {
  auto refuses = [](const json& cfg, ErrorCode code, Parts parts) {
    refused(From::timm, {{"pretrained_cfg", cfg}}, code, parts);
  };
  refuses({{"crop_mode", "border"}}, ErrorCode::unsupported,
          {"\"pretrained_cfg.crop_mode\": found \"border\", expected \"center\" or \"squash\""});
  refuses({{"interpolation", "random"}}, ErrorCode::unsupported,
          {"\"pretrained_cfg.interpolation\": found \"random\", expected \"nearest\", \"box\""});
  refuses({{"crop_pct", 0}}, ErrorCode::bad_file,
          {"\"pretrained_cfg.crop_pct\": found 0, expected a number from 0.05 to 4"});
  refuses({{"mean", nullptr}}, ErrorCode::bad_file, {"\"pretrained_cfg.mean\": is missing, expected 3 numbers"});
  refuses({{"mean", {0.5, 0.5}}}, ErrorCode::bad_file,
          {"\"pretrained_cfg.mean\": found [0.5, 0.5], expected 3 numbers"});
  refuses({{"std", {0.5, 0.5, 0}}}, ErrorCode::bad_file,
          {"\"pretrained_cfg.std\": found [0.5, 0.5, 0]", "greater than 0"});
  auto whole = accepted(read(From::timm, {{"pretrained_cfg", {{"crop_pct", 1.0}, {"interpolation", "bilinear"}}}}));
  CHECK(whole.preprocess.resize_height == 32);
  CHECK(whole.preprocess.resample == Resampling::bilinear);
  CHECK(accepted(read(From::timm, {{"pretrained_cfg", {{"crop_pct", nullptr}}}})).preprocess.resize_height ==
        36);  // 32 / 0.875
}

TEST_CASE("Hugging Face: pictures") {
  pixels_refused({{"size", 64}}, ErrorCode::bad_file,
                 {"\"size\": found 64 × 64, expected 32 × 32, the network's image size"});
  pixels_refused({{"size", {{"shortest_edge", 32}}}}, ErrorCode::unsupported, {"\"size\"", "a centre crop"});
  pixels_refused({{"size", {{"longest_edge", 32}}}}, ErrorCode::unsupported, {"\"size\": found {\"longest_edge\":32}"});
  pixels_refused({{"size", {{"height", 32}, {"width", -1}}}}, ErrorCode::bad_file,
                 {"\"size.width\": found -1, expected an integer from 1"});
  pixels_refused({{"size", "big"}}, ErrorCode::bad_file, {"\"size\": found \"big\""});
  pixels_refused({{"size", {{"longest_edge", 32}, {"shortest_edge", 24}}}}, ErrorCode::unsupported,
                 {"\"size\"", "a centre crop"});
  pixels_refused({{"size", {{"longest_edge", 0}, {"shortest_edge", 24}}}}, ErrorCode::bad_file,
                 {"\"size.longest_edge\": found 0"});
  pixels_refused({{"image_processor_type", "ViTImageProcessorFast"}, {"resample", 4}}, ErrorCode::unsupported,
                 {"\"resample\": found 4 (box)", "torchvision has no other"});
  pixels_refused({{"use_fast", true}, {"resample", 5}}, ErrorCode::unsupported, {"\"resample\": found 5 (hamming)"});
  pixels_refused({{"use_fast", 1}}, ErrorCode::bad_file, {"\"use_fast\": found 1, expected true or false"});
  pixels_refused({{"resample", 9}}, ErrorCode::bad_file, {"\"resample\": found 9"});
  pixels_refused({{"image_mean", {0.5, 0.5}}}, ErrorCode::bad_file,
                 {"\"image_mean\": found [0.5, 0.5], expected 3 numbers"});
  pixels_refused({{"image_mean", {0.5, 0.5, "x"}}}, ErrorCode::bad_file, {"\"image_mean\": found [0.5, 0.5, \"x\"]"});
  pixels_refused({{"image_std", {0.5, 0, 0.5}}}, ErrorCode::bad_file,
                 {"\"image_std\": found [0.5, 0, 0.5]", "greater than 0"});
  pixels_refused({{"image_std", 0}}, ErrorCode::bad_file, {"\"image_std\": found 0"});
  pixels_refused({{"rescale_factor", -1}}, ErrorCode::bad_file, {"\"rescale_factor\": found -1"});
  pixels_refused({{"do_resize", "yes"}}, ErrorCode::bad_file, {"\"do_resize\": found \"yes\", expected true or false"});
  pixels_refused({{"image_processor_type", "ConvNextImageProcessor"}}, ErrorCode::unsupported,
                 {"\"ConvNextImageProcessor\"", "ViT, DeiT, CLIP, DINOv3ViT, Siglip, Bit or Beit"});
  pixels_refused({{"do_pad", true}}, ErrorCode::unsupported, {"\"do_pad\": found true", "may change pixels"});
  pixels_refused({{"do_flip_channel_order", true}}, ErrorCode::unsupported, {"\"do_flip_channel_order\""});
  pixels_refused({{"rescale_offset", true}}, ErrorCode::unsupported, {"\"rescale_offset\""});
  pixels_refused({{"do_center_crop", true}, {"crop_size", 48}}, ErrorCode::bad_file,
                 {"\"crop_size\": found 48 × 48, expected 32 × 32"});
  auto padded =
      accepted(read(From::huggingface, json::object(), {{"size", 24}, {"do_center_crop", true}, {"crop_size", 32}}));
  CHECK(padded.preprocess.resize_height == 24);
  CHECK(padded.preprocess.crop_height == 32);
  auto gray = accepted(read(From::huggingface, json::object(),
                            {{"image_mean", 0.25}, {"image_std", 0.5}, {"do_pad", false}, {"do_convert_rgb", true}}));
  CHECK(gray.preprocess.mean[2] == 0.25);
  CHECK(gray.preprocess.std[0] == 0.5);
  auto raw = accepted(read(From::huggingface, json::object(),
                           {{"do_rescale", false}, {"do_normalize", false}, {"do_resize", false}}))
                 .preprocess;
  CHECK(raw.rescale == 1);
  CHECK(raw.mean[0] == 0);
  CHECK(raw.std[0] == 1);
  CHECK(raw.resize == PreprocessConfig::Resize::none);
  auto old = accepted(read(From::deit, json::object(),
                           {{"image_processor_type", nullptr},
                            {"feature_extractor_type", "DeiTFeatureExtractor"},
                            {"size", 40},
                            {"crop_size", 32},
                            {"resample", 3}}))
                 .preprocess;
  CHECK(old.resize == PreprocessConfig::Resize::exact);
  CHECK(old.resize_width == 40);
  CHECK(old.center_crop);
  CHECK(old.crop_offset == PreprocessConfig::CropOffset::floor);
  CHECK(old.resample == Resampling::bicubic);
  auto clip = accepted(read(From::huggingface, json::object(),
                            {{"image_processor_type", "CLIPImageProcessor"},
                             {"size", {{"shortest_edge", 36}}},
                             {"crop_size", 32},
                             {"resample", 3}}))
                  .preprocess;
  CHECK(clip.resize == PreprocessConfig::Resize::shortest_edge);
  CHECK(clip.resize_height == 36);
  // transformers 5 writes only what differs from the defaults of the class.
  auto bare = accepted(read(From::deit, json::object(),
                            {{"image_processor_type", "DeiTImageProcessor"},
                             {"size", nullptr},
                             {"crop_size", 32},
                             {"resample", nullptr},
                             {"image_mean", nullptr},
                             {"image_std", nullptr}}))
                  .preprocess;
  CHECK(bare.resize_height == 256);
  CHECK(bare.resample == Resampling::bicubic);
  CHECK(bare.mean[1] == 0.5);
  CHECK(bare.std[2] == 0.5);
}

TEST_CASE("which class of image processor decides about rounding and cropping") {
  const auto backend = [](const json& preprocessor) {
    return accepted(read(From::huggingface, json::object(), preprocessor)).preprocess.backend;
  };
  CHECK(backend({{"image_processor_type", "ViTImageProcessor"}}) == ResizeBackend::pillow);
  CHECK(backend({{"image_processor_type", "ViTImageProcessorPil"}}) == ResizeBackend::pillow);
  CHECK(backend({{"image_processor_type", "ViTImageProcessorFast"}}) == ResizeBackend::torchvision);
  CHECK(backend({{"image_processor_type", "ViTImageProcessor"}, {"use_fast", true}}) == ResizeBackend::torchvision);
  CHECK(backend({{"image_processor_type", "ViTImageProcessorPil"}, {"use_fast", true}}) == ResizeBackend::pillow);
  auto cropped = accepted(read(From::huggingface, json::object(),
                               {{"image_processor_type", "ViTImageProcessorFast"},
                                {"size", {{"shortest_edge", 36}, {"longest_edge", 48}}},
                                {"do_center_crop", true},
                                {"crop_size", 32}}))
                     .preprocess;
  CHECK(cropped.crop_offset == PreprocessConfig::CropOffset::floor_pad_last);
  CHECK(cropped.longest_edge == 48);
}

TEST_CASE("the goldens' image processors, byte for byte") {
  int run = 0, refused = 0, fast = 0;
  std::map<std::array<int, 3>, std::vector<std::uint8_t>> pictures;
  const auto file = json::parse(read_file(goldens() / "resize" / "processor.json"));
  for (const auto& golden : file.at("cases")) {
    VitConfig network;
    network.family = "vit";
    network.image_width = golden.at("out_width");
    network.image_height = golden.at("out_height");
    network.channels = 3;
    json config = golden.at("config");
    const bool timm = golden.at("kind") == "timm";
    if (timm) config["mean"] = config["std"] = 0.5;  // the goldens are of the pixels before those
    CAPTURE(golden.dump());
    FirstError errors;
    Fields fields(config, "processor.json", errors);
    auto preprocess = timm ? timm_preprocess(fields, network) : huggingface_preprocess(fields, network);
    // Results whose size depends on the picture are refused.
    const bool any_size =
        config.value("size", json()).contains("shortest_edge") && !config.value("do_center_crop", false);
    CHECK(errors.failed() == any_size);
    ++(errors.failed() ? refused : run);
    if (errors.failed()) continue;
    fast += preprocess.backend == ResizeBackend::torchvision;
    const int width = golden.at("width"), height = golden.at("height"), channels = golden.at("channels");
    REQUIRE(golden.at("picture") == "mixed");
    auto& pixels = pictures[{width, height, channels}];  // making one takes longer than resizing it
    if (pixels.empty()) pixels = golden_picture("mixed", width, height, channels);
    Preprocessor preprocessor(preprocess, channels);
    const auto seen = preprocessor.run({pixels.data(), width, height, std::ptrdiff_t{width} * channels,
                                        channels == 1 ? PixelFormat::gray8 : PixelFormat::rgb8});
    REQUIRE(seen);
    std::vector<std::uint8_t> packed;
    for (int y = 0; y < seen->height; ++y)
      packed.insert(packed.end(), seen->row(y), seen->row(y) + std::ptrdiff_t{seen->width} * channels);
    CHECK(fnv1a64(packed.data(), packed.size()) == std::stoull(golden.at("fnv1a64").get<std::string>(), nullptr, 16));
  }
  CHECK(run > 150);
  CHECK(fast > 50);
  CHECK(refused > 0);
}

TEST_CASE("architecture names") {
  auto base = parse_architecture("vit_base_patch16_224.augreg_in21k");
  REQUIRE(base);
  CHECK(base->num_heads == 12);
  CHECK(base->image == 224);
  CHECK(parse_architecture("vit_base_patch16_gap_224")->num_heads == 16);
  CHECK(parse_architecture("vit_huge_patch14_224_in21k")->num_layers == 32);
  CHECK(parse_architecture("deit_base_distilled_patch16_384")->distilled);
  CHECK(parse_architecture("vit_giant_patch14_224")->mlp_dim == 6144);
}

// What config.json may say; everything else is refused with file, key, found and expected.
#include <doctest/doctest.h>

#include "runtime/model/architecture.hpp"
#include "runtime/model/config.hpp"
#include "tests/support/config_folder.hpp"

using namespace vitrail;
using namespace vitrail::test;
using nlohmann::json;

namespace {

void number_refused(const json& patch, Parts parts) { refused(From::huggingface, patch, ErrorCode::bad_file, parts); }

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
  number_refused({{"intermediate_size", 66048}},
                 {"\"intermediate_size\": found 66048, expected an integer from 1 to 66047"});
  number_refused({{"layer_norm_eps", 0}}, {"\"layer_norm_eps\": found 0, expected a number from 1e-30 to 1"});
  number_refused({{"layer_norm_eps", "1e-6"}}, {"\"layer_norm_eps\": found \"1e-6\""});
  number_refused({{"image_size", 40}}, {"image size: found 40 × 40, expected multiples of the patch size 16 × 16"});
  number_refused({{"image_size", 100000}}, {"\"image_size\": found 100000", "a pair of integers from 1 to 8192"});
  number_refused({{"image_size", {32, 32, 32}}}, {"\"image_size\": found [32, 32, 32]"});
  number_refused({{"image_size", {32, -32}}}, {"\"image_size\": found [32, -32]"});
  number_refused({{"patch_size", 0}}, {"\"patch_size\": found 0"});
  number_refused({{"patch_size", 160}, {"image_size", 160}},
                 {"elements of a patch: found 76800, expected at most 66047"});
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
  refuses({{"problem_type", "multi_label_classification"}},
          {"\"problem_type\": found \"multi_label_classification\", expected \"single_label_classification\""});
  // The same keys with the values that change nothing.
  accepted(read(From::huggingface, {{"norm_first", true},
                                    {"use_swiglu_ffn", false},
                                    {"num_register_tokens", 0},
                                    {"auto_map", nullptr},
                                    {"problem_type", "single_label_classification"},
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

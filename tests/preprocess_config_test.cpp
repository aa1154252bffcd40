// What preprocessor_config.json and timm's pretrained_cfg may say about pictures, and that the pixels are then those of
// transformers and timm; everything else is refused with file, key, found and expected.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "runtime/model/config.hpp"
#include "tests/support/config_folder.hpp"
#include "tests/support/golden.hpp"

using namespace vitrail;
using namespace vitrail::test;
using nlohmann::json;

namespace {

using Resize = PreprocessConfig::Resize;

void pixels_refused(const json& patch, ErrorCode code, Parts parts, From from = From::huggingface) {
  INFO("patch: ", patch.dump());
  auto result = read(from, json::object(), patch);
  check_error(result, code, parts);
  if (!result) CHECK(result.error().message.find("preprocessor_config.json: ") != std::string::npos);
}

}  // namespace

TEST_CASE("timm: pictures") {
  auto refuses = [](const json& cfg, ErrorCode code, Parts parts) {
    refused(From::timm, {{"pretrained_cfg", cfg}}, code, parts);
  };
  refuses({{"crop_mode", "stretch"}}, ErrorCode::unsupported,
          {"\"pretrained_cfg.crop_mode\": found \"stretch\", expected \"center\", \"squash\" or \"border\""});
  refuses({{"crop_mode", "border"}, {"mean", {0.5, 1.5, 0.5}}}, ErrorCode::bad_file,
          {"\"pretrained_cfg.mean\": found [0.5, 1.5, 0.5], expected numbers from 0 to 1", "\"border\""});
  refuses({{"crop_border_pixels", 4}}, ErrorCode::unsupported,
          {"\"pretrained_cfg.crop_border_pixels\": found 4, expected nothing: this is not run"});
  refuses({{"interpolation", "random"}}, ErrorCode::unsupported,
          {"\"pretrained_cfg.interpolation\": found \"random\", expected \"nearest\", \"box\""});
  refuses({{"crop_pct", 0}}, ErrorCode::bad_file,
          {"\"pretrained_cfg.crop_pct\": found 0, expected a number from 0.05 to 4"});
  refuses({{"crop_pct", 0.05}, {"input_size", {3, 2048, 2048}}}, ErrorCode::bad_file,
          {"\"pretrained_cfg.crop_pct\": found 0.05, expected one that resizes pictures to at most 32768 pixels"});
  refuses({{"mean", nullptr}}, ErrorCode::bad_file, {"\"pretrained_cfg.mean\": is missing, expected 3 numbers"});
  refuses({{"mean", {0.5, 0.5}}}, ErrorCode::bad_file,
          {"\"pretrained_cfg.mean\": found [0.5, 0.5], expected 3 numbers"});
  refuses({{"std", {0.5, 0.5, 0}}}, ErrorCode::bad_file,
          {"\"pretrained_cfg.std\": found [0.5, 0.5, 0], expected 3 numbers from 1e-06 to 1000000"});
  auto whole = accepted(read(From::timm, {{"pretrained_cfg", {{"crop_pct", 1.0}, {"interpolation", "bilinear"}}}}));
  CHECK(whole.preprocess.resize_height == 32);
  CHECK(whole.preprocess.resample == Resampling::bilinear);
  CHECK(accepted(read(From::timm, {{"pretrained_cfg", {{"crop_pct", nullptr}}}})).preprocess.resize_height ==
        36);  // 32 / 0.875

  auto pictures = [](const json& cfg, const json& model_args = json::object()) {
    return accepted(read(From::timm, {{"pretrained_cfg", cfg}, {"model_args", model_args}})).preprocess;
  };
  // Neither of these has a say in timm's evaluation transform, unless the size for tests is asked for.
  const auto plain = pictures({{"crop_pct", 0.9}, {"crop_mode", "center"}});
  const auto same = pictures({{"crop_pct", 0.9},
                              {"crop_mode", nullptr},
                              {"fixed_input_size", true},
                              {"test_input_size", {3, 64, 64}},
                              {"test_crop_pct", 1.0},
                              {"pool_size", {7, 7}},
                              {"first_conv", "patch_embed.proj"}});
  CHECK(plain.resize == Resize::shortest_edge);
  CHECK(same.resize == plain.resize);
  CHECK(same.resize_height == plain.resize_height);
  CHECK(same.crop_height == plain.crop_height);
  CHECK(same.resample == plain.resample);
  const auto squash = pictures({{"crop_mode", "squash"}, {"crop_pct", 0.5}});
  CHECK(squash.resize == Resize::exact);
  CHECK(squash.resize_width == 64);
  CHECK(squash.crop_width == 32);
  const auto border = pictures({{"crop_mode", "border"}, {"crop_pct", 1.0}, {"mean", {0.5, 0.1, 1}}});
  CHECK(border.resize == Resize::contain);
  CHECK(border.fill == std::array<std::uint8_t, 3>{128, 26, 255});  // 127.5 and 25.5: halves to even
}

TEST_CASE("Hugging Face: pictures") {
  pixels_refused({{"size", 64}}, ErrorCode::bad_file,
                 {"\"size\": found 64 × 64, expected 32 × 32, the network's image size"});
  pixels_refused({{"size", {{"shortest_edge", 32}}}}, ErrorCode::unsupported, {"\"size\"", "a centre crop"});
  pixels_refused({{"size", {{"longest_edge", 32}}}}, ErrorCode::unsupported, {"\"size\": found {\"longest_edge\":32}"});
  pixels_refused({{"size", {{"height", 32}, {"width", -1}}}}, ErrorCode::bad_file,
                 {"\"size.width\": found -1, expected an integer from 1"});
  pixels_refused({{"size", {{"max_height", 32}, {"max_width", 32}}}}, ErrorCode::unsupported,
                 {"\"size\"", "a centre crop"});
  pixels_refused({{"size", {{"max_height", 0}, {"max_width", 32}}}}, ErrorCode::bad_file,
                 {"\"size.max_height\": found 0, expected an integer from 1"});
  pixels_refused({{"size", {{"height", 32}, {"max_width", 32}}}}, ErrorCode::unsupported,
                 {"\"size\": found {\"height\":32,\"max_width\":32}, expected an integer"});
  pixels_refused({{"do_center_crop", true}, {"crop_size", {{"max_height", 32}, {"max_width", 32}}}},
                 ErrorCode::bad_file, {"\"crop_size\"", "an integer or {height, width}"});
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
                 {"\"image_std\": found [0.5, 0, 0.5], expected 3 numbers from 1e-06 to 1000000"});
  pixels_refused({{"image_std", 0}}, ErrorCode::bad_file, {"\"image_std\": found 0"});
  pixels_refused({{"image_mean", 10001}}, ErrorCode::bad_file,
                 {"\"image_mean\": found 10001, expected 3 numbers from -10000 to 10000"});
  pixels_refused({{"rescale_factor", -1}}, ErrorCode::bad_file, {"\"rescale_factor\": found -1"});
  pixels_refused({{"do_resize", "yes"}}, ErrorCode::bad_file, {"\"do_resize\": found \"yes\", expected true or false"});
  pixels_refused({{"image_processor_type", "ConvNextImageProcessor"}}, ErrorCode::unsupported,
                 {"\"ConvNextImageProcessor\"", "ViT, DeiT, CLIP, DINOv3ViT, Siglip, Bit or Beit"});
  pixels_refused({{"do_pad", true}}, ErrorCode::unsupported, {"\"do_pad\": found true", "may change pixels"});
  pixels_refused({{"do_flip_channel_order", true}}, ErrorCode::unsupported, {"\"do_flip_channel_order\""});
  pixels_refused({{"do_pad", true}, {"pad_size", {{"height", 32}, {"width", 32}}}}, ErrorCode::unsupported,
                 {"\"do_pad\": found true"});
  pixels_refused({{"some_new_key", 5}}, ErrorCode::unsupported,
                 {"\"some_new_key\": found 5, expected nothing: it may change pixels in a way that is not run"});
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
  auto inside =
      accepted(read(From::huggingface, json::object(),
                    {{"size", {{"max_height", 40}, {"max_width", 50}}}, {"do_center_crop", true}, {"crop_size", 32}}))
          .preprocess;
  CHECK(inside.resize == Resize::contain_truncated);
  CHECK(inside.resize_height == 40);
  CHECK(inside.resize_width == 50);
  // Neither changes pixels, nor does anything that is null or switched off.
  accepted(read(From::huggingface, json::object(),
                {{"data_format", "channels_first"},
                 {"processor_class", "X"},
                 {"_valid_processor_keys", {"images"}},
                 {"do_pad", false},
                 {"do_reduce_labels", false},
                 {"pad_size", nullptr},
                 {"some_new_key", nullptr},
                 {"do_something_new", false}}));
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

TEST_CASE("networks that are not square take pictures that are not") {
  const json wide = {{"image_size", {16, 64}}};
  const json size = {{"height", 16}, {"width", 64}};
  const auto exact = accepted(read(From::huggingface, wide, {{"size", size}})).preprocess;
  CHECK(exact.resize == Resize::exact);
  CHECK(exact.resize_height == 16);
  CHECK(exact.resize_width == 64);
  const auto cropped =
      accepted(read(From::huggingface, wide,
                    {{"size", {{"max_height", 20}, {"max_width", 70}}}, {"do_center_crop", true}, {"crop_size", size}}))
          .preprocess;
  CHECK(cropped.resize == Resize::contain_truncated);
  CHECK(cropped.crop_height == 16);
  CHECK(cropped.crop_width == 64);
  check_error(read(From::huggingface, wide, {{"size", {{"height", 64}, {"width", 16}}}}), ErrorCode::bad_file,
              {"preprocessor_config.json: \"size\": found 64 × 16, expected 16 × 64, the network's image size"});
  check_error(read(From::huggingface, wide, {{"size", {{"longest_edge", 64}}}}), ErrorCode::unsupported,
              {"\"size\": found {\"longest_edge\":64}", "fail to run"});

  const auto timm = [](const json& cfg) {
    json pretrained = {{"input_size", {3, 16, 64}}, {"crop_pct", 0.875}, {"interpolation", "bicubic"}};
    pretrained.update(cfg);
    return accepted(read(From::timm, {{"pretrained_cfg", pretrained}, {"model_args", {{"img_size", {16, 64}}}}}))
        .preprocess;
  };
  const auto center = timm(json::object());
  CHECK(center.resize == Resize::cover);
  CHECK(center.resize_height == 18);
  CHECK(center.resize_width == 73);
  CHECK(center.resample == Resampling::bilinear);  // timm's own choice
  CHECK(center.crop_width == 64);
  const auto border = timm({{"crop_mode", "border"}});
  CHECK(border.resize == Resize::contain);
  CHECK(border.resize_width == 73);
  CHECK(border.resample == Resampling::bicubic);
  CHECK(timm({{"crop_mode", "squash"}}).resize == Resize::exact);
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
    if (timm) config["std"] = 0.5;  // the goldens are of the pixels before mean and deviation …
    if (timm && !config.contains("mean")) config["mean"] = 0.5;  // … but a border has the colour of the mean
    CAPTURE(golden.dump());
    FirstError errors;
    Fields fields(config, "processor.json", errors);
    auto preprocess = timm ? timm_preprocess(fields, network) : huggingface_preprocess(fields, network);
    // Results whose size depends on the picture are refused.
    const json size = config.value("size", json());
    const bool any_size =
        (size.contains("shortest_edge") || size.contains("max_height")) && !config.value("do_center_crop", false);
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
  CHECK(run > 300);
  CHECK(fast > 50);
  CHECK(refused > 0);

  // What transformers itself fails to run is refused when the file is read.
  int failing = 0;
  for (const auto& golden : file.at("refused")) {
    VitConfig network;
    network.family = "vit";
    network.image_width = network.image_height = 64;
    network.channels = 3;
    json config = golden.at("config");
    config["image_processor_type"] = golden.at("kind");
    CAPTURE(config.dump());
    FirstError errors;
    huggingface_preprocess(Fields(config, "processor.json", errors), network);
    REQUIRE(errors.failed());
    CHECK(errors.status().error().message ==
          "processor.json: \"size\": found {\"longest_edge\":64}, which transformers' own image processors accept and "
          "then fail to run, expected an integer, {height, width}, {shortest_edge}, {shortest_edge, longest_edge} or "
          "{max_height, max_width}");
    ++failing;
  }
  CHECK(failing >= 9);
}

TEST_CASE("DINOv3's image processor, which resizes floats, to half a level of its pixels") {
  const auto file = json::parse(read_file(goldens() / "resize" / "dinov3.json"));
  int compared = 0;
  double worst = 0;
  for (const auto& golden : file.at("cases")) {
    CAPTURE(golden.dump());
    VitConfig network;
    network.family = "dinov3_vit";
    network.resizes_itself = true;
    network.channels = 3;
    FirstError errors;
    const PreprocessConfig config =
        huggingface_preprocess(Fields(golden.at("config"), "processor.json", errors), network);
    REQUIRE(!errors.failed());
    const bool rescales = golden.at("config").value("do_rescale", true);
    CHECK(config.backend == (rescales ? ResizeBackend::torchvision_float : ResizeBackend::torchvision));
    const int width = golden.at("width"), height = golden.at("height");
    const auto pixels = golden_picture(golden.at("picture").get<std::string>(), width, height, 3);
    Preprocessor preprocessor(config, 3);
    const auto seen = preprocessor.run({pixels.data(), width, height, std::ptrdiff_t{width} * 3, PixelFormat::rgb8});
    REQUIRE(seen);
    const auto expected = read_npy<float>(goldens() / "resize" / golden.at("file").get<std::string>());
    REQUIRE(expected.shape == std::vector<std::int64_t>{seen->height, seen->width, 3});
    const std::vector<std::uint8_t> packed = packed_bytes(*seen);
    for (std::size_t i = 0; i < packed.size(); ++i) {
      const std::size_t c = i % 3;
      const double level = (expected.values[i] * config.std[c] + config.mean[c]) / config.rescale;
      worst = std::max(worst, std::abs(level - packed[i]));
    }
    ++compared;
  }
  CHECK(compared > 15);
  CHECK(worst <= 0.5 + 1e-3);  // rounded to the nearest level of Python's value, but for torch's own rounding errors
}

TEST_CASE("a filter that is not run on floats leaves the pictures of the session's size only, uncropped") {
  for (const bool crops : {false, true}) {
    VitConfig network;
    network.family = "dinov3_vit";
    network.resizes_itself = true;
    network.channels = 3;
    FirstError errors;
    const json file = {{"image_processor_type", "DINOv3ViTImageProcessorFast"},
                       {"resample", 3},
                       {"size", {{"height", 40}, {"width", 40}}},
                       {"do_center_crop", crops},
                       {"crop_size", {{"height", 32}, {"width", 32}}}};
    const auto config = huggingface_preprocess(Fields(file, "processor.json", errors), network);
    REQUIRE_MESSAGE(!errors.failed(), errors.status().error().message);
    CHECK(network.image_height == (crops ? 32 : 40));
    CHECK(config.resize == Resize::none);
    CHECK(!config.center_crop);
  }
}

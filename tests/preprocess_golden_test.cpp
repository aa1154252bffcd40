// From configuration file to pixels: transformers' and timm's image processors on whole pictures, byte for byte.
#include <doctest/doctest.h>

#include "runtime/model/config.hpp"
#include "tests/support/golden.hpp"

using namespace vitrail;
using namespace vitrail::test;

TEST_CASE("pictures prepared as transformers and timm prepare them") {
  const auto path = goldens() / "resize" / "processor.json";
  const auto file = nlohmann::json::parse(read_file(path));
  int run = 0, refused = 0;
  for (const auto& golden : file.at("cases")) {
    const std::string kind = golden.at("kind");
    const int width = golden.at("width"), height = golden.at("height"), channels = golden.at("channels");
    VitConfig network;
    network.image_width = golden.at("out_width");
    network.image_height = golden.at("out_height");
    network.channels = channels;
    nlohmann::json config = golden.at("config");
    if (config.contains("image_mean") && channels == 1) config.erase("image_mean"), config.erase("image_std");
    if (kind == "timm") config["mean"] = config["std"] = 0.5;  // the goldens are of the pixels before those

    CAPTURE(config.dump());
    CAPTURE(width);
    CAPTURE(height);
    FirstError errors;
    Fields fields(config, "processor.json", errors);
    auto preprocess = kind == "timm" ? timm_preprocess(fields, network) : huggingface_preprocess(fields, network);
    // Refused by design: other filters, and results whose size depends on the picture.
    const bool other_filter = config.value("resample", 2) < 2 || config.value("interpolation", "") == "lanczos";
    const bool any_size = config.contains("size") && config["size"].is_object() &&
                          config["size"].contains("shortest_edge") && !config.value("do_center_crop", false);
    CHECK(errors.failed() == (other_filter || any_size));
    if (errors.failed()) {
      ++refused;
      continue;
    }

    const auto pixels = golden_picture(golden.at("picture").get<std::string>(), width, height, channels);
    Preprocessor preprocessor(preprocess, channels);
    auto result = preprocessor.run({pixels.data(), width, height, std::ptrdiff_t{width} * channels,
                                    channels == 1 ? PixelFormat::gray8 : PixelFormat::rgb8});
    REQUIRE_MESSAGE(result, (result ? "" : result.error().message));
    CHECK(result->width == network.image_width);
    CHECK(result->height == network.image_height);
    const auto bytes = packed_bytes(*result);
    const std::uint64_t expected = std::stoull(golden.at("fnv1a64").get<std::string>(), nullptr, 16);
    CHECK(fnv1a64(bytes.data(), bytes.size()) == expected);
    ++run;
  }
  CHECK(run > 100);
  CHECK(refused > 0);
}

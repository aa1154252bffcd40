// The oracle: Pillow 9.4 for the resize, then a transcription of transformers' center_crop (floor) or torchvision's
// (half_even), on pictures of noise(size, 1).
#include "vitrail/preprocess.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <string>

#include "runtime/pixel_rows.hpp"
#include "tests/support/pictures.hpp"

using namespace vitrail;
using namespace vitrail::test;

namespace {

using Resize = PreprocessConfig::Resize;
using CropOffset = PreprocessConfig::CropOffset;

std::vector<std::uint8_t> packed_noise(int width, int height, PixelFormat format) {
  return noise(static_cast<std::size_t>(width * height * bytes_per_pixel(format)), 1);
}

PreprocessConfig config_of(Resize resize, int resize_height, int resize_width, int crop_height = 0, int crop_width = 0,
                           CropOffset offset = CropOffset::floor) {
  PreprocessConfig config;
  config.resize = resize;
  config.resize_height = resize_height;
  config.resize_width = resize_width;
  config.center_crop = crop_height > 0;
  config.crop_height = crop_height;
  config.crop_width = crop_width;
  config.crop_offset = offset;
  return config;
}

/// The left and top of the crop, read off a picture whose pixels are all different.
int crop_start(int length, int crop, CropOffset offset) {
  std::vector<std::uint8_t> ramp(static_cast<std::size_t>(length));
  for (int i = 0; i < length; ++i) ramp[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(i + 1);
  Preprocessor wide(config_of(Resize::none, 0, 0, 1, crop, offset), 1);
  Preprocessor tall(config_of(Resize::none, 0, 0, crop, 1, offset), 1);
  const ImageView row = wide.run({ramp.data(), length, 1, length, PixelFormat::gray8}).value();
  const ImageView column = tall.run({ramp.data(), 1, length, 1, PixelFormat::gray8}).value();
  int start = row.row(0)[0] - 1;
  int zeros = 0;
  while (row.row(0)[zeros] == 0) ++zeros;
  if (zeros > 0) start = -zeros;
  for (int i = 0; i < crop; ++i) {
    const bool inside = start + i >= 0 && start + i < length;
    CHECK(row.row(0)[i] == (inside ? start + i + 1 : 0));
    CHECK(column.row(i)[0] == row.row(0)[i]);
  }
  return start;
}

}  // namespace

TEST_CASE("pipelines of the usual networks, byte for byte") {
  const struct {
    int width, height;
    PixelFormat format;
    int channels;
    Resize resize;
    int resize_height, resize_width;
    Resampling filter;
    bool crop;
    int crop_height, crop_width;
    CropOffset offset;
    std::uint64_t hash;
  } cases[] = {
      {640, 480, PixelFormat::rgb8, 3, Resize::exact, 224, 224, Resampling::bilinear, false, 0, 0, CropOffset::floor,
       0xa6893d8f31de2207u},
      {640, 480, PixelFormat::rgb8, 3, Resize::shortest_edge, 256, 0, Resampling::bicubic, true, 224, 224,
       CropOffset::floor, 0x7a02cebba3004e5au},
      {640, 480, PixelFormat::rgb8, 3, Resize::shortest_edge, 256, 0, Resampling::bicubic, true, 224, 224,
       CropOffset::half_even, 0x7a02cebba3004e5au},
      {333, 517, PixelFormat::bgra8, 3, Resize::shortest_edge, 235, 0, Resampling::bicubic, true, 224, 224,
       CropOffset::floor, 0xc2f0b062d229ac64u},
      {333, 517, PixelFormat::bgra8, 3, Resize::shortest_edge, 235, 0, Resampling::bicubic, true, 224, 224,
       CropOffset::half_even, 0x7e3f363f44bc65b5u},
      {517, 333, PixelFormat::rgba8, 1, Resize::shortest_edge, 40, 0, Resampling::bilinear, true, 31, 33,
       CropOffset::half_even, 0xf3a08c39e6547ca1u},
      {517, 333, PixelFormat::bgr8, 1, Resize::exact, 28, 28, Resampling::bilinear, false, 0, 0, CropOffset::floor,
       0xb08f8996da38e019u},
      {100, 51, PixelFormat::gray8, 3, Resize::shortest_edge, 64, 0, Resampling::bicubic, true, 64, 64,
       CropOffset::floor, 0x820f76905259fce6u},
      {31, 20, PixelFormat::rgb8, 3, Resize::none, 0, 0, Resampling::bilinear, true, 40, 24, CropOffset::floor,
       0x73c9385dbb718ff0u},
      {31, 20, PixelFormat::rgb8, 3, Resize::none, 0, 0, Resampling::bilinear, true, 40, 24, CropOffset::half_even,
       0xdf42822ca6b124ccu},
      {31, 21, PixelFormat::bgr8, 3, Resize::none, 0, 0, Resampling::bilinear, true, 40, 40, CropOffset::floor,
       0x29e8a0ca8a0591deu},
      {31, 21, PixelFormat::bgr8, 3, Resize::none, 0, 0, Resampling::bilinear, true, 40, 40, CropOffset::half_even,
       0x356014b5e6a9e6b4u},
      {31, 20, PixelFormat::gray8, 1, Resize::none, 0, 0, Resampling::bilinear, true, 17, 40, CropOffset::floor,
       0x43deffce09441a16u},
      {60, 47, PixelFormat::rgb8, 3, Resize::exact, 50, 31, Resampling::bicubic, true, 77, 20, CropOffset::half_even,
       0x5ef4d31058438a49u},
      {60, 47, PixelFormat::rgb8, 3, Resize::exact, 50, 31, Resampling::bicubic, true, 77, 20, CropOffset::floor,
       0x6e35554731aeb9f3u},
      {1, 1, PixelFormat::gray8, 3, Resize::shortest_edge, 8, 0, Resampling::bicubic, true, 5, 9, CropOffset::floor,
       0xa1d75d75208f6207u},
  };
  for (const auto& c : cases) {
    CAPTURE(c.width);
    CAPTURE(c.height);
    CAPTURE(c.resize_height);
    CAPTURE(c.crop_height);
    PreprocessConfig config =
        config_of(c.resize, c.resize_height, c.resize_width, c.crop_height, c.crop_width, c.offset);
    config.resample = c.filter;
    const Picture src(packed_noise(c.width, c.height, c.format), c.width, c.height, c.format, 3, true);
    Preprocessor preprocessor(config, c.channels);
    for (int repeat = 0; repeat < 2; ++repeat) {
      const ImageView view = preprocessor.run(src.view).value();
      CHECK(view.format == (c.channels == 1 ? PixelFormat::gray8 : PixelFormat::rgb8));
      if (c.crop) CHECK(view.width == c.crop_width);
      if (c.crop) CHECK(view.height == c.crop_height);
      const std::vector<std::uint8_t> pixels = packed_bytes(view);
      CHECK(fnv1a64(pixels.data(), pixels.size()) == c.hash);
    }
  }
}

TEST_CASE("the shorter side sets the size, the longer one is truncated") {
  const struct {
    int width, height, edge, result_width, result_height;
  } cases[] = {{640, 480, 224, 298, 224}, {480, 640, 224, 224, 298}, {333, 500, 256, 256, 384},
               {3, 3, 7, 7, 7},           {1000, 7, 2, 285, 2},      {224, 300, 224, 224, 300}};
  for (const auto& c : cases) {
    const Picture src(packed_noise(c.width, c.height, PixelFormat::gray8), c.width, c.height, PixelFormat::gray8);
    Preprocessor preprocessor(config_of(Resize::shortest_edge, c.edge, 0), 3);
    const ImageView view = preprocessor.run(src.view).value();
    CHECK(view.width == c.result_width);
    CHECK(view.height == c.result_height);
  }
}

TEST_CASE("in proportion, around or inside a size") {
  // Python: max() or min() of the two ratios, round() of both sides; int() for contain_truncated.
  const struct {
    int width, height, target_width, target_height;
    std::pair<int, int> cover, contain, contain_truncated;
  } cases[] = {
      {640, 480, 128, 96, {128, 96}, {128, 96}, {128, 96}},
      {640, 480, 100, 100, {133, 100}, {100, 75}, {100, 75}},
      {57, 91, 60, 30, {60, 96}, {19, 30}, {18, 30}},
      {3, 2, 7, 7, {10, 7}, {7, 5}, {7, 4}},             // 10.5 → 10, 4.67 → 5 or 4
      {2, 5, 5, 5, {5, 12}, {2, 5}, {2, 5}},             // 12.5 → 12
      {100, 30, 35, 35, {117, 35}, {35, 10}, {35, 10}},  // 10.5 → 10
  };
  for (const auto& c : cases) {
    CAPTURE(c.width);
    CAPTURE(c.height);
    const Picture src(packed_noise(c.width, c.height, PixelFormat::gray8), c.width, c.height, PixelFormat::gray8);
    for (const auto& [rule, size] : {std::pair{Resize::cover, c.cover},
                                     {Resize::contain, c.contain},
                                     {Resize::contain_truncated, c.contain_truncated}}) {
      Preprocessor preprocessor(config_of(rule, c.target_height, c.target_width), 1);
      const ImageView view = preprocessor.run(src.view).value();
      CHECK(view.width == size.first);
      CHECK(view.height == size.second);
    }
  }
}

TEST_CASE("a picture smaller than the crop is surrounded by the given colour") {
  const Picture src(packed_noise(2, 1, PixelFormat::rgb8), 2, 1, PixelFormat::rgb8);
  PreprocessConfig config = config_of(Resize::none, 0, 0, 3, 4, CropOffset::half_even);
  config.fill = {10, 20, 30};
  Preprocessor colour(config, 3);
  for (int repeat = 0; repeat < 2; ++repeat) {
    const std::vector<std::uint8_t> seen = packed_bytes(colour.run(src.view).value());
    for (std::size_t i = 0; i < seen.size(); ++i) {
      const std::size_t x = i / 3 % 4, y = i / 12, c = i % 3;
      const bool inside = y == 1 && (x == 1 || x == 2);
      CHECK(seen[i] == (inside ? src.view.row(0)[(x - 1) * 3 + c] : config.fill[c]));
    }
  }
  Preprocessor gray(config, 1);
  CHECK(gray.run(src.view).value().row(2)[3] == 10);
}

TEST_CASE("where an odd difference goes") {
  // transformers: (length - crop) // 2
  CHECK(crop_start(10, 10, CropOffset::floor) == 0);
  CHECK(crop_start(11, 10, CropOffset::floor) == 0);
  CHECK(crop_start(13, 10, CropOffset::floor) == 1);
  CHECK(crop_start(15, 10, CropOffset::floor) == 2);
  CHECK(crop_start(10, 11, CropOffset::floor) == -1);
  CHECK(crop_start(10, 12, CropOffset::floor) == -1);
  CHECK(crop_start(10, 13, CropOffset::floor) == -2);
  // transformers' fast processors: int((length - crop) / 2.0), or padding of (crop - length) // 2
  CHECK(crop_start(13, 10, CropOffset::floor_pad_last) == 1);
  CHECK(crop_start(15, 10, CropOffset::floor_pad_last) == 2);
  CHECK(crop_start(10, 11, CropOffset::floor_pad_last) == 0);
  CHECK(crop_start(10, 13, CropOffset::floor_pad_last) == -1);
  // torchvision: int(round((length - crop) / 2.0)), or padding of (crop - length) // 2
  CHECK(crop_start(10, 10, CropOffset::half_even) == 0);
  CHECK(crop_start(11, 10, CropOffset::half_even) == 0);
  CHECK(crop_start(12, 10, CropOffset::half_even) == 1);
  CHECK(crop_start(13, 10, CropOffset::half_even) == 2);
  CHECK(crop_start(15, 10, CropOffset::half_even) == 2);
  CHECK(crop_start(17, 10, CropOffset::half_even) == 4);
  CHECK(crop_start(10, 11, CropOffset::half_even) == 0);
  CHECK(crop_start(10, 12, CropOffset::half_even) == -1);
  CHECK(crop_start(10, 13, CropOffset::half_even) == -1);
}

TEST_CASE("a picture that needs nothing is passed through, a crop of it is a view into it") {
  const Picture src(packed_noise(32, 24, PixelFormat::rgb8), 32, 24, PixelFormat::rgb8, 7);
  Preprocessor exact(config_of(Resize::exact, 24, 32), 3);
  const ImageView same = exact.run(src.view).value();
  CHECK(same.data == src.view.data);
  CHECK(same.stride_bytes == src.view.stride_bytes);
  Preprocessor crop(config_of(Resize::exact, 24, 32, 20, 20), 3);
  const ImageView part = crop.run(src.view).value();
  CHECK(part.data == src.view.row(2) + 6 * 3);
  CHECK(part.width == 20);
  CHECK(part.height == 20);
  CHECK(part.stride_bytes == src.view.stride_bytes);
}

TEST_CASE("a picture of the right size in another format is converted") {
  for (const PixelFormat format : all_formats) {
    for (const int channels : {1, 3}) {
      const Picture src(packed_noise(9, 5, format), 9, 5, format);
      Preprocessor preprocessor(config_of(Resize::exact, 5, 9), channels);
      const ImageView view = preprocessor.run(src.view).value();
      CHECK(view.format == (channels == 1 ? PixelFormat::gray8 : PixelFormat::rgb8));
      std::vector<std::uint8_t> expected(static_cast<std::size_t>(9 * channels));
      for (int y = 0; y < 5; ++y) {
        convert_row(src.view.row(y), format, expected.data(), view.format, 9);
        CHECK(std::equal(expected.begin(), expected.end(), view.row(y)));
      }
    }
  }
}

TEST_CASE("pictures of different sizes and formats after each other leave no trace") {
  const PreprocessConfig config = config_of(Resize::shortest_edge, 12, 0, 16, 14);
  Preprocessor shared(config, 3);
  for (const auto& [width, height] : {std::pair{20, 40}, {40, 20}, {12, 12}, {16, 12}, {14, 200}, {20, 40}}) {
    for (const PixelFormat format : all_formats) {
      const Picture src(packed_noise(width, height, format), width, height, format);
      Preprocessor fresh(config, 3);
      CHECK((packed_bytes(shared.run(src.view).value()) == packed_bytes(fresh.run(src.view).value())));
    }
  }
  CHECK(shared.memory_bytes() > 16 * 14 * 3);
}

TEST_CASE("errors name the argument") {
  const std::vector<std::uint8_t> pixels(32768 * 3);
  const ImageView good{pixels.data(), 4, 4, 12, PixelFormat::rgb8};
  const auto error = [&good](const PreprocessConfig& config, int channels = 3) {
    const Result<ImageView> result = Preprocessor(config, channels).run(good);
    return result ? std::string() : result.error().message;
  };
  CHECK(error(config_of(Resize::exact, 4, 4)).empty());
  CHECK(error(config_of(Resize::exact, 4, 4), 4) == "channels: found 4, expected 1 or 3");
  CHECK(error(config_of(Resize::exact, 0, 4)) == "resize_height: found 0, expected 1 to 32768");
  CHECK(error(config_of(Resize::exact, 4, -1)) == "resize_width: found -1, expected 1 to 32768");
  CHECK(error(config_of(Resize::cover, 4, 0)) == "resize_width: found 0, expected 1 to 32768");
  CHECK(error(config_of(Resize::contain, 0, 4)) == "resize_height: found 0, expected 1 to 32768");
  CHECK(error(config_of(static_cast<Resize>(6), 4, 4)) == "resize: found 6, expected a PreprocessConfig::Resize");
  const ImageView line{pixels.data(), 32768, 1, 32768 * 3, PixelFormat::rgb8};
  CHECK(Preprocessor(config_of(Resize::contain, 8, 8), 3).run(line).error().message ==
        "image: found 1 × 32768 pixels, expected sides from 1 to 32768 after the resize, not 0 × 8");
  CHECK(Preprocessor(config_of(Resize::contain_truncated, 8, 8), 3).run(line).error().message ==
        "image: found 1 × 32768 pixels, expected sides from 1 to 32768 after the resize, not 0 × 8");
  CHECK(Preprocessor(config_of(Resize::cover, 2, 2), 3).run(line).error().message ==
        "image: found 1 × 32768 pixels, expected sides from 1 to 32768 after the resize, not 2 × 65536");
  CHECK(error(config_of(Resize::shortest_edge, 40000, 0)) == "resize_height: found 40000, expected 1 to 32768");
  CHECK(error(config_of(Resize::none, 0, 0, 5, 0)) == "crop_width: found 0, expected 1 to 32768");
  PreprocessConfig flat = config_of(Resize::shortest_edge, 4, 0);
  flat.longest_edge = -1;
  CHECK(error(flat) == "longest_edge: found -1, expected 0 to 32768");
  flat.longest_edge = 8;
  CHECK(Preprocessor(flat, 3).run({pixels.data(), 32768, 1, 32768 * 3, PixelFormat::rgb8}).error().message ==
        "image: found 1 × 32768 pixels, expected a shorter side of at least one pixel after the longer one is 8");
  PreprocessConfig config = config_of(Resize::none, 0, 0, 5, 5);
  config.crop_height = 99999;
  CHECK(error(config) == "crop_height: found 99999, expected 1 to 32768");
  config.crop_offset = static_cast<PreprocessConfig::CropOffset>(9);
  CHECK(error(config) == "crop_offset: found 9, expected a PreprocessConfig::CropOffset");
  CHECK(Preprocessor(config_of(Resize::exact, 4, 4), 3).run({nullptr, 4, 4, 12, PixelFormat::rgb8}).error().message ==
        "image.data: found null, expected a pointer to the first row");
  const Result<ImageView> wide = Preprocessor(config_of(Resize::shortest_edge, 2, 0), 3)
                                     .run({pixels.data(), 32768, 1, 32768 * 3, PixelFormat::rgb8});
  CHECK(wide.error().message ==
        "image: found 1 × 32768 pixels, expected a longer side of at most 32768 after the shorter one is 2");
}

TEST_CASE("a window's length is checked before it is counted with") {
  Resizer::Options o{.src_width = 8, .src_height = 8, .dst_width = 8, .dst_height = 8};
  o.window_width = std::numeric_limits<int>::min();
  o.window_height = 4;
  const auto plan = Resizer::plan(o);
  REQUIRE(!plan);
  CHECK(plan.error().message == "window_width: found -2147483648, expected 1 to 8");
}

// Pillow is the oracle: the goldens are of Pillow 13, the hashes below of PIL.Image.fromarray(noise(size,
// 1)).resize((width, height), filter) with Pillow 9.4 on x86-64. Everything else is compared with a plain transcription
// of the arithmetic.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <string>

#include "runtime/pixel_rows.hpp"
#include "runtime/resize_filters.hpp"
#include "tests/support/allocations.hpp"
#include "tests/support/golden.hpp"
#include "vitrail/preprocess.hpp"

using namespace vitrail;
using namespace vitrail::test;

namespace {

constexpr Resampling all_filters[] = {Resampling::nearest, Resampling::box,     Resampling::bilinear,
                                      Resampling::hamming, Resampling::bicubic, Resampling::lanczos};

std::vector<std::uint8_t> packed_noise(int width, int height, PixelFormat format) {
  return noise(static_cast<std::size_t>(width) * static_cast<std::size_t>(height) *
                   static_cast<std::size_t>(bytes_per_pixel(format)),
               1);
}

/// One axis at a time over whole pictures, in double loops and 64-bit sums: [height, width, channels].
std::vector<std::uint8_t> naive_resize(std::vector<std::uint8_t> picture, int width, int height, int channels,
                                       int dst_width, int dst_height, Resampling filter,
                                       PassOrder order = PassOrder::pillow_13) {
  const bool vertical_first =
      order == PassOrder::pillow_13 && height > dst_height && height - dst_height > 2 * (width - dst_width);
  for (const bool horizontal : {!vertical_first, vertical_first}) {
    const int src_size = horizontal ? width : height;
    const int dst_size = horizontal ? dst_width : dst_height;
    if (src_size == dst_size) continue;
    const AxisFilter axis = make_axis_filter(src_size, dst_size, 0, dst_size, filter);
    const int out_width = horizontal ? dst_width : width;
    const int out_height = horizontal ? height : dst_height;
    std::vector<std::uint8_t> out(static_cast<std::size_t>(out_width) * out_height * channels);
    for (int y = 0; y < out_height; ++y)
      for (int x = 0; x < out_width; ++x)
        for (int c = 0; c < channels; ++c) {
          const int i = horizontal ? x : y;
          const FilterSpan span = axis.spans[static_cast<std::size_t>(i)];
          std::int64_t sum = 1 << 21;
          for (int k = 0; k < span.count; ++k) {
            const int sx = horizontal ? span.first + k : x;
            const int sy = horizontal ? y : span.first + k;
            const std::size_t at = (static_cast<std::size_t>(sy) * width + sx) * channels + c;
            sum += static_cast<std::int64_t>(axis.row(i)[k]) * picture[at];
          }
          const std::size_t at = (static_cast<std::size_t>(y) * out_width + x) * channels + c;
          out[at] = static_cast<std::uint8_t>(std::clamp<std::int64_t>(sum >> 22, 0, 255));
        }
    picture = out;
    width = out_width;
    height = out_height;
  }
  return picture;
}

Resizer::Options options_of(int src_width, int src_height, int dst_width, int dst_height,
                            PixelFormat src_format = PixelFormat::rgb8) {
  Resizer::Options o;
  o.src_width = src_width;
  o.src_height = src_height;
  o.dst_width = dst_width;
  o.dst_height = dst_height;
  o.src_format = src_format;
  o.dst_format = src_format == PixelFormat::gray8 ? PixelFormat::gray8 : PixelFormat::rgb8;
  return o;
}

std::string error_of(const Resizer::Options& o) {
  const Result<Resizer> resizer = Resizer::plan(o);
  return resizer ? "" : resizer.error().message;
}

}  // namespace

TEST_CASE("equal to an older Pillow, byte for byte") {
  const struct {
    int width, height;
    PixelFormat format;
    int dst_width, dst_height;
    Resampling filter;
    std::uint64_t hash;
  } cases[] = {
      {640, 480, PixelFormat::rgb8, 224, 224, Resampling::bilinear, 0xa6893d8f31de2207u},
      {640, 480, PixelFormat::rgb8, 224, 224, Resampling::bicubic, 0xa89c8f6c07d68bd7u},
      {500, 375, PixelFormat::rgb8, 298, 224, Resampling::bicubic, 0x8e0a620afc52038au},
      {375, 500, PixelFormat::bgr8, 224, 298, Resampling::bilinear, 0xd2bd3078c9b44ff9u},
      {33, 17, PixelFormat::rgba8, 224, 224, Resampling::bicubic, 0xc499b504d5e9b24eu},
      {224, 224, PixelFormat::bgra8, 518, 518, Resampling::bicubic, 0x05140f41d9c28978u},
      {28, 28, PixelFormat::gray8, 224, 224, Resampling::bilinear, 0x1150aa72bec23615u},
      {1000, 3, PixelFormat::gray8, 224, 224, Resampling::bicubic, 0x1f2f1e1b8afb281du},
      {1, 1, PixelFormat::rgb8, 16, 16, Resampling::bicubic, 0x60673c72754ff425u},
      {1, 50, PixelFormat::rgb8, 7, 7, Resampling::bilinear, 0x376e7f0ab04f64dbu},
      {50, 1, PixelFormat::rgb8, 7, 7, Resampling::bicubic, 0x74e3129055f138e1u},
      {30000, 2, PixelFormat::rgb8, 224, 2, Resampling::bicubic, 0xfbcdae2f76d83cbeu},
      {2, 30000, PixelFormat::gray8, 2, 224, Resampling::bilinear, 0xd8298274ae409869u},
      {30000, 2, PixelFormat::rgb8, 29999, 2, Resampling::bicubic, 0xd2aaaad722d6380fu},
      {640, 480, PixelFormat::rgb8, 640, 224, Resampling::bicubic, 0x9c02be9481b7c6b1u},
      {640, 480, PixelFormat::bgra8, 224, 480, Resampling::bilinear, 0x5a7f789694f82316u},
      {64, 64, PixelFormat::rgb8, 63, 65, Resampling::bicubic, 0xe6f2d18e08a08f10u},
  };
  for (const auto& c : cases) {
    CAPTURE(c.width);
    CAPTURE(c.height);
    CAPTURE(c.dst_width);
    CAPTURE(c.dst_height);
    for (const int gap : {0, 5}) {
      for (const bool bottom_up : {false, true}) {
        const Picture src(packed_noise(c.width, c.height, c.format), c.width, c.height, c.format, gap, bottom_up);
        const Image image = resize(src.view, c.dst_width, c.dst_height, c.filter, PassOrder::horizontal_first).value();
        CHECK(image.width() == c.dst_width);
        CHECK(image.height() == c.dst_height);
        CHECK(image.format() == (c.format == PixelFormat::gray8 ? PixelFormat::gray8 : PixelFormat::rgb8));
        CHECK(fnv1a64(image.row(0), image.size_bytes()) == c.hash);
      }
    }
  }
}

TEST_CASE("equal to Pillow 13, byte for byte") {
  int compared = 0;
  const std::map<std::string, Resampling> filters = {
      {"nearest", Resampling::nearest}, {"box", Resampling::box},         {"bilinear", Resampling::bilinear},
      {"hamming", Resampling::hamming}, {"bicubic", Resampling::bicubic}, {"lanczos", Resampling::lanczos}};
  const auto file = nlohmann::json::parse(read_file(goldens() / "resize" / "cases.json"));
  for (const auto& c : file.at("cases")) {
    CAPTURE(c.dump());
    const int width = c.at("width");
    const int height = c.at("height");
    const int channels = c.at("channels");
    const PixelFormat format = channels == 1 ? PixelFormat::gray8 : PixelFormat::rgb8;
    const Picture src(golden_picture(c.at("picture").get<std::string>(), width, height, channels), width, height,
                      format);
    const Image image =
        resize(src.view, c.at("out_width"), c.at("out_height"), filters.at(c.at("filter").get<std::string>())).value();
    CHECK(fnv1a64(image.row(0), image.size_bytes()) == std::stoull(c.at("fnv1a64").get<std::string>(), nullptr, 16));
    ++compared;
  }
  CHECK(compared > 200);
}

TEST_CASE("which pass comes first") {
  // Made with Pillow 13 and 9.4: they differ in the first three. In the fourth, both sides of the rule are equal.
  const struct {
    int width, height, dst_width, dst_height;
    std::uint64_t pillow_13, pillow_9;
  } cases[] = {
      {333, 500, 224, 224, 0x6398b9ffe81bf0a6u, 0x23422ac40d99ef84u},
      {40, 90, 50, 30, 0x005f6d4b616a872au, 0x085d1e9a84102f4du},
      {30, 41, 20, 20, 0xd2ace25e0407165fu, 0x61563fd804349443u},
      {30, 40, 20, 20, 0x4472e3fea8ff57c5u, 0x4472e3fea8ff57c5u},
      {90, 40, 30, 50, 0xb6f5d6aad8d4789cu, 0xb6f5d6aad8d4789cu},
  };
  for (const auto& c : cases) {
    CAPTURE(c.height);
    CAPTURE(c.dst_height);
    const Picture src(packed_noise(c.width, c.height, PixelFormat::rgb8), c.width, c.height, PixelFormat::rgb8);
    const Image now = resize(src.view, c.dst_width, c.dst_height, Resampling::bicubic).value();
    CHECK(fnv1a64(now.row(0), now.size_bytes()) == c.pillow_13);
    const Image then =
        resize(src.view, c.dst_width, c.dst_height, Resampling::bicubic, PassOrder::horizontal_first).value();
    CHECK(fnv1a64(then.row(0), then.size_bytes()) == c.pillow_9);
  }
}

TEST_CASE("any size, format and window is that part of the whole, against the plain arithmetic") {
  std::uint32_t seed = 1;
  const auto pick = [&seed](int low, int high) {
    seed = seed * 1664525u + 1013904223u;
    return low + static_cast<int>((seed >> 8) % static_cast<std::uint32_t>(high - low + 1));
  };
  for (int i = 0; i < 400; ++i) {
    const PixelFormat format = all_formats[pick(0, 4)];
    Resizer::Options o = options_of(pick(1, 90), pick(1, 90), pick(1, 90), pick(1, 90), format);
    if (pick(0, 4) == 0) o.dst_width = o.src_width;
    if (pick(0, 4) == 0) o.dst_height = o.src_height;
    o.dst_format = pick(0, 1) == 0 ? PixelFormat::rgb8 : PixelFormat::gray8;
    o.filter = static_cast<Resampling>(pick(0, 5));
    o.pass_order = pick(0, 3) == 0 ? PassOrder::horizontal_first : PassOrder::pillow_13;
    o.window_width = pick(1, o.dst_width);
    o.window_height = pick(1, o.dst_height);
    o.window_x = pick(0, o.dst_width - o.window_width);
    o.window_y = pick(0, o.dst_height - o.window_height);
    CAPTURE(o.src_width);
    CAPTURE(o.src_height);
    CAPTURE(o.dst_width);
    CAPTURE(o.dst_height);
    CAPTURE(static_cast<int>(format));

    std::vector<std::uint8_t> packed = packed_noise(o.src_width, o.src_height, format);
    if (pick(0, 3) == 0) {  // black and white drives bicubic below 0 and above 255
      for (std::uint8_t& sample : packed) sample = sample < 128 ? 0 : 255;
    }
    const Picture src(packed, o.src_width, o.src_height, format, pick(0, 9), pick(0, 1) == 1);
    const int channels = bytes_per_pixel(o.dst_format);
    std::vector<std::uint8_t> converted(static_cast<std::size_t>(o.src_width * o.src_height * channels));
    for (int y = 0; y < o.src_height; ++y) {
      convert_row(src.view.row(y), format, converted.data() + y * o.src_width * channels, o.dst_format, o.src_width);
    }
    const std::vector<std::uint8_t> whole =
        naive_resize(converted, o.src_width, o.src_height, channels, o.dst_width, o.dst_height, o.filter, o.pass_order);

    Resizer resizer = Resizer::plan(o).value();
    const int row = o.window_width * channels;
    const int stride = row + pick(0, 4);
    const bool bottom_up = pick(0, 1) == 1;
    std::vector<std::uint8_t> dst(static_cast<std::size_t>(stride * (o.window_height - 1) + row), 0x5a);
    std::uint8_t* first = dst.data() + (bottom_up ? stride * (o.window_height - 1) : 0);
    for (int repeat = 0; repeat < 2; ++repeat) {
      const std::uint64_t before = allocations();
      const Status status = resizer.run(src.view, first, bottom_up ? -stride : stride);
      const std::uint64_t after = allocations();
      CHECK(status);
      CHECK(before == after);
    }
    int wrong = 0;
    for (int y = 0; y < o.window_height; ++y) {
      const std::uint8_t* got = first + y * (bottom_up ? -stride : stride);
      const std::uint8_t* expected =
          whole.data() + ((o.window_y + y) * o.dst_width + o.window_x) * static_cast<std::ptrdiff_t>(channels);
      wrong += !std::equal(got, got + row, expected);
    }
    for (std::size_t at = 0; at < dst.size(); ++at) {
      if (static_cast<int>(at) % stride >= row) wrong += dst[at] != 0x5a;
    }
    CHECK(wrong == 0);
  }
}

TEST_CASE("floats are rounded once, after both passes") {
  std::uint32_t seed = 7;
  const auto pick = [&seed](int low, int high) {
    seed = seed * 1664525u + 1013904223u;
    return low + static_cast<int>((seed >> 8) % static_cast<std::uint32_t>(high - low + 1));
  };
  double worst = 0;
  int beyond_one_rounding = 0;
  for (int i = 0; i < 200; ++i) {
    const bool gray = pick(0, 2) == 0;
    const int channels = gray ? 1 : 3;
    Resizer::Options o =
        options_of(pick(1, 90), pick(1, 90), pick(1, 90), pick(1, 90), gray ? PixelFormat::gray8 : PixelFormat::rgb8);
    if (pick(0, 5) == 0) o.dst_width = o.src_width;
    if (pick(0, 5) == 0) o.dst_height = o.src_height;
    o.backend = ResizeBackend::torchvision_float;
    o.window_width = pick(1, o.dst_width);
    o.window_height = pick(1, o.dst_height);
    o.window_x = pick(0, o.dst_width - o.window_width);
    o.window_y = pick(0, o.dst_height - o.window_height);
    CAPTURE(o.src_width);
    CAPTURE(o.src_height);
    CAPTURE(o.dst_width);
    CAPTURE(o.dst_height);
    const std::vector<std::uint8_t> packed = packed_noise(o.src_width, o.src_height, o.src_format);
    const Picture src(packed, o.src_width, o.src_height, o.src_format, pick(0, 9), pick(0, 1) == 1);
    Resizer resizer = Resizer::plan(o).value();
    std::vector<std::uint8_t> dst(static_cast<std::size_t>(o.window_width * o.window_height * channels));
    const std::uint64_t before = allocations();
    const Status status = resizer.run(src.view, dst.data(), o.window_width * channels);
    CHECK(before == allocations());
    CHECK(status);

    // The same weights, as doubles.
    const AxisFilter fx = make_axis_filter(o.src_width, o.dst_width, o.window_x, o.window_width, o.filter);
    const AxisFilter fy = make_axis_filter(o.src_height, o.dst_height, o.window_y, o.window_height, o.filter);
    for (int y = 0; y < o.window_height; ++y)
      for (int x = 0; x < o.window_width; ++x)
        for (int c = 0; c < channels; ++c) {
          const FilterSpan sx = fx.spans[static_cast<std::size_t>(x)], sy = fy.spans[static_cast<std::size_t>(y)];
          double sum = 0;
          for (int v = 0; v < sy.count; ++v)
            for (int u = 0; u < sx.count; ++u)
              sum += static_cast<double>(fy.row(y)[v]) * fx.row(x)[u] *
                     packed[static_cast<std::size_t>(((sy.first + v) * o.src_width + sx.first + u) * channels + c)];
          const double exact = sum / (std::int64_t{1} << (2 * resize_fraction_bits));
          const double off = std::abs(exact - dst[static_cast<std::size_t>((y * o.window_width + x) * channels + c)]);
          worst = std::max(worst, off);
          beyond_one_rounding += off > 0.5 + 1e-9;
        }
  }
  CHECK(beyond_one_rounding == 0);
  CHECK(worst > 0.49);
}

TEST_CASE("the extremes of the allowed sizes") {
  const struct {
    int width, height, dst_width, dst_height;
  } cases[] = {{32768, 1, 1, 1}, {1, 32768, 1, 1},     {1, 1, 32768, 1},
               {1, 1, 1, 32768}, {32768, 2, 32767, 3}, {30000, 2, 7, 2}};
  for (const auto& c : cases) {
    for (const Resampling filter : all_filters) {
      CAPTURE(c.width);
      CAPTURE(c.dst_width);
      std::vector<std::uint8_t> packed = packed_noise(c.width, c.height, PixelFormat::rgb8);
      std::fill(packed.begin(), packed.begin() + 3, std::uint8_t{255});
      const Picture src(packed, c.width, c.height, PixelFormat::rgb8);
      const Image image = resize(src.view, c.dst_width, c.dst_height, filter).value();
      CHECK((packed_bytes(image) == naive_resize(packed, c.width, c.height, 3, c.dst_width, c.dst_height, filter)));
    }
  }
}

TEST_CASE("a long filter over white does not overflow") {
  const std::vector<std::uint8_t> white(32768 * 3, 255);
  const Image image = resize({white.data(), 32768, 1, 32768 * 3, PixelFormat::rgb8}, 3, 1, Resampling::bicubic).value();
  for (std::size_t i = 0; i < image.size_bytes(); ++i) CHECK(image.row(0)[i] == 255);
}

TEST_CASE("the halves of the weights are the weights, and their sums stay in 32 bits") {
  for (const auto& [src, dst] : {std::pair{32768, 1}, {4000, 341}, {224, 518}, {1, 9}, {7, 6}, {2, 30000}}) {
    for (const Resampling resampling : all_filters) {
      const AxisFilter filter = make_axis_filter(src, dst, 0, dst, resampling);
      const SplitWeights halves = split(filter);
      bool equal = true;
      std::int64_t most = 0;
      for (int i = 0; i < filter.size(); ++i) {
        std::int64_t high = 0;
        std::int64_t low = 0;
        for (int k = 0; k < filter.pitch; ++k) {
          const std::size_t at = static_cast<std::size_t>(i) * filter.pitch + k;
          equal = equal && halves.high[at] * 32768 + halves.low[at] == filter.weights[at];
          equal = equal && (k < filter.spans[i].count || filter.weights[at] == 0);
          high += std::abs(halves.high[at]);
          low += std::abs(halves.low[at]);
        }
        most = std::max({most, 255 * high, 255 * low});
      }
      CHECK(equal);
      CHECK(most < (std::int64_t{1} << 31));
    }
  }
}

TEST_CASE("plan names what is wrong") {
  const Resizer::Options good = options_of(10, 20, 5, 6);
  const auto with = [&good](auto change) {
    Resizer::Options o = good;
    change(o);
    return error_of(o);
  };
  CHECK(with([](auto&) {}).empty());
  CHECK(with([](auto& o) { o.src_width = 0; }) == "src_width: found 0, expected 1 to 32768");
  CHECK(with([](auto& o) { o.src_height = 32769; }) == "src_height: found 32769, expected 1 to 32768");
  CHECK(with([](auto& o) { o.dst_width = -1; }) == "dst_width: found -1, expected 1 to 32768");
  CHECK(with([](auto& o) { o.dst_height = 0; }) == "dst_height: found 0, expected 1 to 32768");
  CHECK(with([](auto& o) { o.window_width = 6; }) == "window_width: found 6, expected 1 to 5");
  CHECK(with([](auto& o) { o.window_width = 2; }) == "window_height: found 0, expected 1 to 6");
  CHECK(with([](auto& o) { o.window_width = o.window_height = 2, o.window_x = 4; }) ==
        "window_x: found 4, expected 0 to 3");
  CHECK(with([](auto& o) { o.window_width = o.window_height = 2, o.window_y = -1; }) ==
        "window_y: found -1, expected 0 to 4");
  CHECK(with([](auto& o) { o.src_format = static_cast<PixelFormat>(8); }) ==
        "src_format: found 8, expected a PixelFormat");
  CHECK(with([](auto& o) { o.dst_format = PixelFormat::bgr8; }) == "dst_format: found 1, expected rgb8 or gray8");
  CHECK(with([](auto& o) { o.pass_order = static_cast<PassOrder>(2); }) == "pass_order: found 2, expected a PassOrder");
  CHECK(with([](auto& o) { o.filter = static_cast<Resampling>(6); }) == "filter: found 6, expected a Resampling");
  CHECK(with([](auto& o) { o.backend = static_cast<ResizeBackend>(3); }) ==
        "backend: found 3, expected a ResizeBackend");
  CHECK(with([](auto& o) { o.backend = ResizeBackend::torchvision, o.filter = Resampling::box; }) ==
        "filter: found box, expected one that torchvision has");
  CHECK(with([](auto& o) { o.backend = ResizeBackend::torchvision_float, o.filter = Resampling::bicubic; }) ==
        "filter: found 4, expected nearest or bilinear with torchvision_float");
  const std::uint8_t pixel[3] = {};
  CHECK(resize({pixel, 1, 1, 3, PixelFormat::rgb8}, 0, 1, Resampling::bilinear).error().message ==
        "dst_width: found 0, expected 1 to 32768");
  CHECK(resize({nullptr, 1, 1, 3, PixelFormat::rgb8}, 1, 1, Resampling::bilinear).error().code ==
        ErrorCode::invalid_argument);
}

TEST_CASE("run refuses another picture than planned") {
  Resizer resizer = Resizer::plan(options_of(4, 4, 2, 2)).value();
  const std::vector<std::uint8_t> pixels(100);
  std::uint8_t dst[12];
  CHECK(resizer.run({pixels.data(), 4, 4, 12, PixelFormat::rgb8}, dst, 6));
  CHECK(resizer.run({pixels.data(), 4, 5, 12, PixelFormat::rgb8}, dst, 6).error().message ==
        "src: found 5 × 4 rgb8, expected 4 × 4 rgb8, as planned");
  CHECK(resizer.run({pixels.data(), 4, 4, 12, PixelFormat::bgr8}, dst, 6).error().message ==
        "src: found 4 × 4 bgr8, expected 4 × 4 rgb8, as planned");
  CHECK(!resizer.run({nullptr, 4, 4, 12, PixelFormat::rgb8}, dst, 6));
  const auto into = [&](std::uint8_t* to, std::ptrdiff_t stride) {
    return resizer.run({pixels.data(), 4, 4, 12, PixelFormat::rgb8}, to, stride).error().message;
  };
  CHECK(into(nullptr, 6) == "dst: found null, expected a pointer to the first row");
  CHECK(into(dst, 5) == "dst_stride_bytes: found 5, expected at least 6, or its negative");
  CHECK(resizer.run({pixels.data(), 4, 4, 12, PixelFormat::rgb8}, dst + 6, -6));
  CHECK(resizer.memory_bytes() > 0);
}

// im2col, fold and convolutions against torch's unfold, fold and conv2d; the same bits on every class of CPU.
#include "vitrail/convolution.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "tests/support/allocations.hpp"
#include "tests/support/environment.hpp"
#include "tests/support/golden.hpp"
#include "tests/support/platforms.hpp"

using namespace vitrail;
using namespace vitrail::test;
using nlohmann::json;

namespace {

template <class T>
std::uint64_t hash(const std::vector<T>& values) {
  return fnv1a64(reinterpret_cast<const std::uint8_t*>(values.data()), values.size() * sizeof(T));
}

std::uint64_t golden_hash(const json& c, const char* key) {
  return std::stoull(c.at(key).get<std::string>(), nullptr, 16);
}

json cases() { return json::parse(read_file(goldens() / "convolution" / "cases.json")).at("cases"); }

WindowOptions options_of(const json& c) {
  return {.height = c.at("height"),
          .width = c.at("width"),
          .channels = c.at("channels"),
          .kernel_height = c.at("kernel")[0],
          .kernel_width = c.at("kernel")[1],
          .stride_y = c.at("stride")[0],
          .stride_x = c.at("stride")[1],
          .padding_y = c.at("padding")[0],
          .padding_x = c.at("padding")[1],
          .dilation_y = c.at("dilation")[0],
          .dilation_x = c.at("dilation")[1]};
}

std::ptrdiff_t row_elements(const WindowGrid& grid) {
  return std::ptrdiff_t{grid.options().width} * grid.options().channels;
}

template <class T>
std::vector<T> columns_of(const WindowGrid& grid, const std::vector<T>& picture, PatchOrder order, T outside = 0) {
  std::vector<T> columns(grid.size(), T(77));
  im2col(grid, picture.data(), row_elements(grid) * static_cast<std::ptrdiff_t>(sizeof(T)), columns.data(), order,
         outside);
  return columns;
}

/// The numbers of a golden tensor.
std::vector<float> numbers(const std::string& name, std::vector<std::int64_t> shape, double scale) {
  const TestTensor tensor = golden_tensor(name, std::move(shape), "linear", scale);
  std::vector<float> values(tensor.bytes.size() / sizeof(float));
  std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());
  return values;
}

/// The convolution of one case and its inputs.
struct Case {
  WindowGrid grid;
  int out_channels;
  std::vector<float> weights, bias, signed_input;
  std::vector<std::uint8_t> pixels;

  explicit Case(const json& c) : grid(WindowGrid::make(options_of(c)).value()), out_channels(c.at("out_channels")) {
    const WindowOptions& o = grid.options();
    weights = numbers("weight", {out_channels, o.channels, o.kernel_height, o.kernel_width}, 0.25);
    bias = numbers("bias", {out_channels}, 0.5);
    signed_input = numbers("input", {o.height, o.width, o.channels}, 4);
    pixels = golden_picture("noise", o.width, o.height, o.channels);
  }

  Convolution convolution(DType dtype, int threads = 1) const {
    return Convolution::make(grid, out_channels, weights, bias, {.dtype = dtype, .threads = threads}).value();
  }
  std::vector<float> of_signed(Convolution& convolution) const {
    std::vector<float> out(outputs());
    convolution.run(signed_input.data(), row_elements(grid) * 4, out.data());
    return out;
  }
  std::vector<float> of_pixels(Convolution& convolution) const {
    std::vector<float> out(outputs());
    convolution.run(pixels.data(), row_elements(grid), 1.0f / 255, 0, out.data());
    return out;
  }
  std::size_t outputs() const {
    return static_cast<std::size_t>(grid.count()) * static_cast<std::size_t>(out_channels);
  }
};

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!std::isfinite(a[i])) return std::numeric_limits<double>::infinity();
    largest = std::max(largest, std::fabs(double{a[i]} - double{b[i]}));
  }
  return largest;
}

double cosine(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  double ab = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    ab += double{a[i]} * b[i], aa += double{a[i]} * a[i], bb += double{b[i]} * b[i];
  return ab / std::sqrt(aa * bb);
}

}  // namespace

TEST_CASE("im2col and fold as torch unfolds and folds") {
  for (const json& c : cases()) {
    CAPTURE(c.dump());
    const WindowGrid grid = WindowGrid::make(options_of(c)).value();
    CHECK(grid.rows() == c.at("rows"));
    CHECK(grid.columns() == c.at("columns"));
    const auto picture = golden_picture("noise", grid.options().width, grid.options().height, grid.options().channels);
    const auto bytes = columns_of(grid, picture, PatchOrder::chw);
    const auto floats = columns_of(grid, std::vector<float>(picture.begin(), picture.end()), PatchOrder::chw);
    CHECK(hash(bytes) == golden_hash(c, "unfold_u8_fnv1a64"));
    CHECK(hash(floats) == golden_hash(c, "unfold_f32_fnv1a64"));

    const auto other = golden_picture("noise", static_cast<int>(grid.window_size()), grid.count(), 1, "columns");
    std::vector<float> sums(picture.size(), -1.0f);
    fold(grid, std::vector<float>(other.begin(), other.end()).data(), sums.data(), row_elements(grid) * 4,
         PatchOrder::chw);
    CHECK(hash(sums) == golden_hash(c, "fold_f32_hwc_fnv1a64"));
    std::vector<std::uint32_t> integers(picture.size(), 9);
    fold(grid, other.data(), integers.data(), row_elements(grid) * 4, PatchOrder::chw);
    CHECK((std::vector<float>(integers.begin(), integers.end()) == sums));
  }
}

TEST_CASE("both orders hold the same samples, and padding is what is asked for") {
  for (const json& c : cases()) {
    CAPTURE(c.dump());
    const WindowGrid grid = WindowGrid::make(options_of(c)).value();
    const WindowOptions& o = grid.options();
    const auto picture = golden_picture("noise", o.width, o.height, o.channels);
    const auto hwc = columns_of(grid, picture, PatchOrder::hwc, std::uint8_t{128});
    const auto chw = columns_of(grid, picture, PatchOrder::chw, std::uint8_t{128});
    const std::size_t area = grid.window_size() / static_cast<std::size_t>(o.channels);
    for (std::size_t n = 0; n < static_cast<std::size_t>(grid.count()); ++n)
      for (std::size_t k = 0; k < area; ++k)
        for (std::size_t ch = 0; ch < static_cast<std::size_t>(o.channels); ++ch)
          if (hwc[n * grid.window_size() + k * static_cast<std::size_t>(o.channels) + ch] !=
              chw[n * grid.window_size() + ch * area + k]) {
            FAIL("window " << n << ", sample " << k << ", channel " << ch);
          }
    std::vector<std::uint32_t> from_hwc(picture.size()), from_chw(picture.size());
    fold(grid, hwc.data(), from_hwc.data(), row_elements(grid) * 4, PatchOrder::hwc);
    fold(grid, chw.data(), from_chw.data(), row_elements(grid) * 4, PatchOrder::chw);
    CHECK(from_hwc == from_chw);
  }
}

TEST_CASE("rows of the picture may lie apart and upside down") {
  const WindowGrid grid =
      WindowGrid::make({.height = 9, .width = 7, .channels = 3, .padding_y = 1, .padding_x = 1}).value();
  const auto picture = golden_picture("noise", 7, 9, 3);
  std::vector<std::uint8_t> apart(9 * 32, 200);
  for (std::size_t y = 0; y < 9; ++y) std::copy_n(picture.data() + 21 * y, 21, apart.data() + 32 * (8 - y));
  std::vector<std::uint8_t> columns(grid.size());
  im2col(grid, apart.data() + 32 * 8, -32, columns.data());
  CHECK(columns == columns_of(grid, picture, PatchOrder::hwc));
}

TEST_CASE("windows that do not overlap are patches") {
  PatchGridOptions p;
  p.height = 32;
  p.width = 48;
  p.patch_height = 8;
  p.patch_width = 16;
  const PatchGrid patches = PatchGrid::make(p).value();
  const WindowGrid grid = WindowGrid::make({.height = 32,
                                            .width = 48,
                                            .channels = 3,
                                            .kernel_height = 8,
                                            .kernel_width = 16,
                                            .stride_y = 8,
                                            .stride_x = 16})
                              .value();
  const auto picture = golden_picture("noise", 48, 32, 3);
  std::vector<std::uint8_t> expected(patches.size());
  patchify(patches, picture.data(), 144, expected.data());
  CHECK(columns_of(grid, picture, PatchOrder::hwc) == expected);
}

TEST_CASE("conv2d as torch computes it: f32 to 1e-4, int8 to a cosine of 0.999, the same bits on every CPU") {
  int index = 0;
  for (const json& c : cases()) {
    CAPTURE(c.dump());
    const Case test(c);
    const std::string number = (index < 10 ? "0" : "") + std::to_string(index);
    ++index;
    const auto signed_golden = read_npy<float>(goldens() / "convolution" / ("signed_" + number + ".npy")).values;
    const auto pixels_golden = read_npy<float>(goldens() / "convolution" / ("pixels_" + number + ".npy")).values;
    for (const DType dtype : {DType::f32, DType::int8}) {
      CAPTURE(dtype == DType::int8);
      std::vector<float> first_signed, first_pixels;
      for (const Platform& platform : platforms()) {
        CAPTURE(platform.name);
        const CpuLimit limit(platform.name);
        for (const int threads : {1, 3}) {
          Convolution convolution = test.convolution(dtype, threads);
          const auto signed_result = test.of_signed(convolution), pixels_result = test.of_pixels(convolution);
          if (first_signed.empty()) first_signed = signed_result, first_pixels = pixels_result;
          CHECK(signed_result == first_signed);
          CHECK(pixels_result == first_pixels);
        }
      }
      if (dtype == DType::f32) {
        CHECK(largest_difference(first_signed, signed_golden) <= 1e-4);
        CHECK(largest_difference(first_pixels, pixels_golden) <= 1e-4);
      } else {
        CHECK(cosine(first_signed, signed_golden) >= 0.999);
        CHECK(cosine(first_pixels, pixels_golden) >= 0.999);
      }
    }
  }
}

TEST_CASE("the zero point of bytes is the real number 0, in the picture and around it") {
  const Case test(cases()[2]);
  std::vector<std::uint8_t> flat(test.pixels.size(), 131);
  for (const DType dtype : {DType::f32, DType::int8}) {
    Convolution convolution = test.convolution(dtype);
    std::vector<float> out(test.outputs(), -1.0f);
    convolution.run(flat.data(), row_elements(test.grid), 0.5f, 131, out.data());
    for (std::size_t i = 0; i < out.size(); ++i) CHECK(out[i] == test.bias[i % test.bias.size()]);
  }
}

TEST_CASE("running a convolution does not allocate") {
  const Case test(cases()[2]);
  for (const DType dtype : {DType::f32, DType::int8}) {
    Convolution convolution = test.convolution(dtype, 2);
    std::vector<float> out(test.outputs());
    const std::uint64_t before = allocations();
    convolution.run(test.signed_input.data(), row_elements(test.grid) * 4, out.data());
    convolution.run(test.pixels.data(), row_elements(test.grid), 1, 0, out.data());
    CHECK(allocations() == before);
    CHECK(convolution.memory_bytes() > 0);
  }
}

TEST_CASE("arguments of windows that make no sense") {
  const WindowOptions good{.height = 8, .width = 8};
  const auto message = [](const WindowOptions& o) {
    const auto grid = WindowGrid::make(o);
    REQUIRE_FALSE(grid);
    CHECK(grid.error().code == ErrorCode::invalid_argument);
    return grid.error().message;
  };
  REQUIRE(WindowGrid::make(good));
  const struct {
    const char* name;
    int WindowOptions::*member;
    int low, high;
  } ranges[] = {{"height", &WindowOptions::height, 0, 32769},
                {"width", &WindowOptions::width, -1, 32769},
                {"channels", &WindowOptions::channels, 0, 65537},
                {"kernel_height", &WindowOptions::kernel_height, 0, 4097},
                {"kernel_width", &WindowOptions::kernel_width, 0, 4097},
                {"stride_y", &WindowOptions::stride_y, 0, 32769},
                {"stride_x", &WindowOptions::stride_x, -2, 32769},
                {"padding_y", &WindowOptions::padding_y, -1, 4097},
                {"padding_x", &WindowOptions::padding_x, -1, 4097},
                {"dilation_y", &WindowOptions::dilation_y, 0, 4097},
                {"dilation_x", &WindowOptions::dilation_x, 0, 4097}};
  for (const auto& range : ranges)
    for (const int value : {range.low, range.high}) {
      WindowOptions bad = good;
      bad.*range.member = value;
      CHECK(message(bad).starts_with(std::string(range.name) + ": found " + std::to_string(value)));
    }
  WindowOptions wide = good;
  wide.kernel_width = 5;
  wide.dilation_x = 3;
  wide.padding_x = 2;
  CHECK(message(wide) == "width: found 8, expected at least 9 for one window (kernel_width 5, dilation 3, padding 2)");
  WindowOptions huge = good;
  huge.height = huge.width = 32768;
  huge.kernel_height = huge.kernel_width = 1;
  huge.padding_y = huge.padding_x = 4096;
  huge.dilation_x = huge.dilation_y = 1;
  CHECK(bool(WindowGrid::make(huge)) == (sizeof(std::size_t) == 8));  // 32 bits cannot address it
  huge.padding_y = huge.padding_x = 4096;
  huge.height = huge.width = 32768;
  huge.kernel_height = huge.kernel_width = 4096;
  huge.channels = 65536;
  CHECK(message(huge).find("elements in all") != std::string::npos);
}

TEST_CASE("arguments of a convolution that make no sense") {
  const WindowGrid grid = WindowGrid::make({.height = 8, .width = 8, .channels = 2}).value();
  std::vector<float> weights(4 * 2 * 9, 0.5f), bias(4, 0.0f);
  const auto message = [&](const WindowGrid& g, int out, ConvolutionOptions options = {}) {
    const auto made = Convolution::make(g, out, weights, bias, options);
    REQUIRE_FALSE(made);
    CHECK(made.error().code == ErrorCode::invalid_argument);
    return made.error().message;
  };
  REQUIRE(Convolution::make(grid, 4, weights, bias));
  REQUIRE(Convolution::make(grid, 4, weights, {}));
  CHECK(message(WindowGrid(), 4).starts_with("grid"));
  CHECK(message(grid, 0).starts_with("out_channels: found 0"));
  CHECK(message(grid, 5).starts_with("weights: found 72 elements, expected 90"));
  CHECK(message(grid, 4, {.threads = 0}).starts_with("threads: found 0"));
  struct Threads : Executor {
    int count;
    explicit Threads(int n) : count(n) {}
    int threads() const noexcept override { return count; }
    void run(int tasks, Task task, const void* context) noexcept override {
      for (int i = 0; i < tasks; ++i) task(context, i, 0);
    }
  } none(0), one(1);
  CHECK(message(grid, 4, {.executor = &none}).starts_with("executor->threads(): found 0, expected 1 to 256"));
  CHECK(Convolution::make(grid, 4, weights, bias, {.threads = 0, .executor = &one}));
  CHECK(message(grid, 4, {.dtype = static_cast<DType>(9)}).starts_with("dtype: found 9, expected DType::int8"));
  bias.resize(3);
  CHECK(message(grid, 4).starts_with("bias: found 3 elements, expected 4"));
  bias.resize(4);
  bias[3] = std::numeric_limits<float>::infinity();
  CHECK(message(grid, 4).starts_with("bias[3]: found inf"));
  bias[3] = 0;
  weights[7] = std::numeric_limits<float>::quiet_NaN();
  CHECK(message(grid, 4).starts_with("weights[7]: found nan"));
  weights[7] = 0;
  {
    const CpuLimit limit("abacus");
    CHECK(message(grid, 4).find("abacus") != std::string::npos);
  }
  // The longest sums: 16 · 16 · 258 is one element too many.
  const WindowOptions deep{.height = 16, .width = 16, .channels = 258, .kernel_height = 16, .kernel_width = 16};
  CHECK(message(WindowGrid::make(deep).value(), 4) ==
        "kernel_height x kernel_width x channels: found 66048, expected at most 66047, so that sums stay exact");
}

TEST_CASE("sums that leave f32 are the same infinity on every class") {
  const WindowGrid grid =
      WindowGrid::make({.height = 1, .width = 1, .channels = 3, .kernel_height = 1, .kernel_width = 1}).value();
  const std::vector<float> weights{-2e38f, -2e38f, 0.5f, 2e38f, 2e38f, 0.5f}, ones{1, 1, 1};
  for (const Platform& platform : platforms()) {
    CAPTURE(platform.name);
    const CpuLimit limit(platform.name);
    Convolution convolution = Convolution::make(grid, 2, weights, {}, {.dtype = DType::f32}).value();
    float y[2];
    convolution.run(ones.data(), 12, y);
    CHECK(y[0] == -std::numeric_limits<float>::infinity());
    CHECK(y[1] == std::numeric_limits<float>::infinity());
  }
}

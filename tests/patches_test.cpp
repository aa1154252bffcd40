#include "vitrail/patches.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "tests/support/environment.hpp"
#include "tests/support/pictures.hpp"
#include "tests/support/platforms.hpp"

using namespace vitrail;
using namespace vitrail::test;

namespace {

std::vector<float> to_float(const std::vector<std::uint8_t>& bytes) {
  std::vector<float> floats;
  for (const std::uint8_t byte : bytes) floats.push_back(static_cast<float>(byte) / 3 - 40);
  return floats;
}

/// The definition, one element at a time: what patchify should give for `picture` [height, width, channels].
template <class T>
std::vector<T> naive_patchify(const PatchGrid& grid, const std::vector<T>& picture, PatchOrder order) {
  const PatchGridOptions& o = grid.options();
  std::vector<T> patches;
  for (int token = 0; token < grid.count(); ++token) {
    const PixelRect r = grid.rect(token);
    const auto element = [&](int py, int px, int c) {
      const int y = r.y + py;
      const int x = r.x + px;
      const bool outside = y < 0 || x < 0 || y >= o.height || x >= o.width;
      patches.push_back(outside ? T(0) : picture[static_cast<std::size_t>((y * o.width + x) * o.channels + c)]);
    };
    if (order == PatchOrder::hwc) {
      for (int py = 0; py < r.height; ++py)
        for (int px = 0; px < r.width; ++px)
          for (int c = 0; c < o.channels; ++c) element(py, px, c);
    } else {
      for (int c = 0; c < o.channels; ++c)
        for (int py = 0; py < r.height; ++py)
          for (int px = 0; px < r.width; ++px) element(py, px, c);
    }
  }
  return patches;
}

/// Sums and counts of every patch element at its pixel; 0 where nothing covers it.
template <class T>
std::vector<T> naive_assemble(const PatchGrid& grid, const std::vector<T>& patches, PatchOrder order) {
  const PatchGridOptions& o = grid.options();
  const std::size_t size = static_cast<std::size_t>(o.height * o.width * o.channels);
  std::vector<double> sums(size);
  std::vector<int> counts(size);
  for (int token = 0; token < grid.count(); ++token) {
    const PixelRect r = grid.rect(token);
    for (int py = 0; py < r.height; ++py)
      for (int px = 0; px < r.width; ++px)
        for (int c = 0; c < o.channels; ++c) {
          const int y = r.y + py;
          const int x = r.x + px;
          if (y < 0 || x < 0 || y >= o.height || x >= o.width) continue;
          const int in_patch =
              order == PatchOrder::hwc ? (py * r.width + px) * o.channels + c : (c * r.height + py) * r.width + px;
          const std::size_t at = static_cast<std::size_t>((y * o.width + x) * o.channels + c);
          sums[at] += patches[static_cast<std::size_t>(token) * grid.patch_size() + static_cast<std::size_t>(in_patch)];
          ++counts[at];
        }
  }
  std::vector<T> picture(size);
  for (std::size_t i = 0; i < size; ++i) {
    if (counts[i] == 0) continue;
    const double mean = sums[i] / counts[i];
    picture[i] = std::is_same_v<T, float> ? static_cast<T>(mean) : static_cast<T>(mean + 0.5);
  }
  return picture;
}

/// `packed` with `gap` bytes (a multiple of the element) between rows, perhaps bottom-up; and back.
template <class T>
struct Strided {
  std::vector<T> memory;
  std::ptrdiff_t stride_bytes;
  T* first;
  std::size_t row, rows, pitch;
  bool bottom_up;

  Strided(std::size_t rows_, std::size_t row_, std::size_t gap, bool bottom_up_)
      : memory((row_ + gap) * (rows_ - 1) + row_, T(77)),
        row(row_),
        rows(rows_),
        pitch(row_ + gap),
        bottom_up(bottom_up_) {
    stride_bytes = static_cast<std::ptrdiff_t>(pitch * sizeof(T)) * (bottom_up ? -1 : 1);
    first = at(0);
  }
  T* at(std::size_t y) { return memory.data() + (bottom_up ? rows - 1 - y : y) * pitch; }
  void fill(const std::vector<T>& packed) {
    for (std::size_t y = 0; y < rows; ++y) std::copy_n(packed.data() + y * row, row, at(y));
  }
  std::vector<T> packed() {
    std::vector<T> out;
    for (std::size_t y = 0; y < rows; ++y) out.insert(out.end(), at(y), at(y) + row);
    return out;
  }
  bool gaps_untouched() {
    for (std::size_t i = 0; i < memory.size(); ++i) {
      if (i % pitch >= row && memory[i] != T(77)) return false;
    }
    return true;
  }
};

template <class T>
void check_against_naive(const PatchGrid& grid, const std::vector<T>& picture, std::size_t gap, bool bottom_up) {
  const PatchGridOptions& o = grid.options();
  const std::size_t row = static_cast<std::size_t>(o.width * o.channels);
  Strided<T> src(static_cast<std::size_t>(o.height), row, gap, bottom_up);
  src.fill(picture);
  for (const PatchOrder order : {PatchOrder::hwc, PatchOrder::chw}) {
    std::vector<T> patches(grid.size());
    patchify(grid, src.first, src.stride_bytes, patches.data(), order);
    const bool patches_equal = patches == naive_patchify(grid, picture, order);
    CHECK(patches_equal);
    // Other values than the picture's, so that overlapping patches disagree and the mean is a real one.
    for (std::size_t i = 0; i < patches.size(); ++i) patches[i] = static_cast<T>(picture[i * 31 % picture.size()]);
    Strided<T> dst(static_cast<std::size_t>(o.height), row, gap, bottom_up);
    assemble(grid, patches.data(), dst.first, dst.stride_bytes, order);
    const bool pictures_equal = dst.packed() == naive_assemble(grid, patches, order);
    CHECK(pictures_equal);
    CHECK(dst.gaps_untouched());
  }
}

std::string error_of(PatchGridOptions options) {
  const Result<PatchGrid> grid = PatchGrid::make(options);
  if (grid) return "";
  CHECK(grid.error().code == ErrorCode::invalid_argument);
  return grid.error().message;
}

PatchGridOptions options_of(int height, int width, int patch, int stride = 0, int padding = 0, int channels = 3) {
  PatchGridOptions o;
  o.height = height;
  o.width = width;
  o.channels = channels;
  o.patch_height = o.patch_width = patch;
  o.stride_y = o.stride_x = stride;
  o.padding_y = o.padding_x = padding;
  return o;
}

}  // namespace

TEST_CASE("the grid of a ViT") {
  const PatchGrid grid = PatchGrid::make(options_of(224, 224, 16)).value();
  CHECK(grid.rows() == 14);
  CHECK(grid.columns() == 14);
  CHECK(grid.count() == 196);
  CHECK(grid.patch_size() == 768);
  CHECK(grid.size() == 224 * 224 * 3);
  CHECK(grid.options().stride_y == 16);
  CHECK(grid.options().stride_x == 16);
  const PixelRect r = grid.rect(15);
  CHECK(r.x == 16);
  CHECK(r.y == 16);
  CHECK(r.width == 16);
  CHECK(r.height == 16);
  CHECK(grid.rect(196).width == 0);
  CHECK(grid.rect(-1).width == 0);
  CHECK(PatchGrid().count() == 0);
  CHECK(PatchGrid().token_at(0, 0) == -1);
}

TEST_CASE("every divisible size comes back exactly") {
  for (const int channels : {1, 2, 3, 4}) {
    for (const int patch : {1, 2, 3, 8, 14, 16, 32}) {
      for (int rows = 1; rows <= 4; ++rows) {
        for (int columns = 1; columns <= 4; ++columns) {
          const PatchGridOptions o = options_of(rows * patch, columns * patch, patch, 0, 0, channels);
          const PatchGrid grid = PatchGrid::make(o).value();
          REQUIRE(grid.count() == rows * columns);
          const std::vector<std::uint8_t> picture = noise(grid.size(), static_cast<std::uint32_t>(patch));
          const std::vector<float> floats = to_float(picture);
          const std::ptrdiff_t stride = o.width * channels;
          for (const PatchOrder order : {PatchOrder::hwc, PatchOrder::chw}) {
            std::vector<std::uint8_t> patches(grid.size()), back(grid.size());
            patchify(grid, picture.data(), stride, patches.data(), order);
            assemble(grid, patches.data(), back.data(), stride, order);
            CHECK((back == picture));
            CHECK((patches == naive_patchify(grid, picture, order)));
            std::vector<float> float_patches(grid.size()), float_back(grid.size());
            patchify(grid, floats.data(), stride * 4, float_patches.data(), order);
            assemble(grid, float_patches.data(), float_back.data(), stride * 4, order);
            CHECK((float_back == floats));
          }
        }
      }
    }
  }
}

TEST_CASE("any stride, padding, remainder and row stride, against the definition") {
  std::uint32_t seed = 1;
  const auto pick = [&seed](int low, int high) {
    seed = seed * 1664525u + 1013904223u;
    return low + static_cast<int>((seed >> 8) % static_cast<std::uint32_t>(high - low + 1));
  };
  int made = 0;
  for (int i = 0; i < 3000; ++i) {
    PatchGridOptions o;
    o.height = pick(1, 40);
    o.width = pick(1, 40);
    o.channels = pick(1, 4);
    o.patch_height = pick(1, 16);
    o.patch_width = pick(1, 16);
    o.stride_y = pick(0, 20);
    o.stride_x = pick(0, 20);
    o.padding_y = pick(0, 1) * pick(0, o.patch_height - 1);
    o.padding_x = pick(0, 1) * pick(0, o.patch_width - 1);
    o.remainder = static_cast<Remainder>(pick(0, 2));
    const Result<PatchGrid> grid = PatchGrid::make(o);
    if (!grid) continue;
    ++made;
    CAPTURE(o.height);
    CAPTURE(o.width);
    CAPTURE(o.patch_height);
    CAPTURE(o.patch_width);
    CAPTURE(o.stride_y);
    CAPTURE(o.stride_x);
    CAPTURE(o.padding_y);
    CAPTURE(o.padding_x);
    const std::size_t elements = static_cast<std::size_t>(o.height * o.width * o.channels);
    const std::vector<std::uint8_t> picture = noise(elements, seed);
    const std::size_t gap = static_cast<std::size_t>(pick(0, 5));
    const bool bottom_up = pick(0, 1) == 1;
    check_against_naive(*grid, picture, gap, bottom_up);
    check_against_naive(*grid, to_float(picture), gap, bottom_up);
    for (int y = -1; y <= o.height; ++y) {
      for (int x = -1; x <= o.width; ++x) {
        int expected = -1;
        for (int token = 0; token < grid->count() && expected < 0; ++token) {
          const PixelRect r = grid->rect(token);
          const bool in_picture = x >= 0 && y >= 0 && x < o.width && y < o.height;
          if (in_picture && x >= r.x && x < r.x + r.width && y >= r.y && y < r.y + r.height) expected = token;
        }
        const bool same = grid->token_at(x, y) == expected;
        CHECK(same);
      }
    }
  }
  CHECK(made > 1000);
}

TEST_CASE("every class of CPU moves the same bytes") {
  for (const auto& platform : platforms()) {
    CAPTURE(platform.name);
    const CpuLimit limit(platform.name);
    for (const int channels : {1, 3})
      for (const int patch : {8, 14, 16, 17, 32}) {
        CAPTURE(patch);
        for (const int columns : {1, 3, 15}) {
          const int width = columns * patch;
          const PatchGrid grid = PatchGrid::make(options_of(2 * patch, width, patch, 0, 0, channels)).value();
          check_against_naive(grid, noise(grid.size(), static_cast<std::uint32_t>(patch)), 5, columns == 3);
        }
        const int many =
            24 * 1024 / (patch * patch * channels) + 1;  // a row of patches that the nearest cache cannot hold
        const PatchGrid wide = PatchGrid::make(options_of(patch, many * patch, patch, 0, 0, channels)).value();
        check_against_naive(wide, noise(wide.size(), 3), 0, false);
      }
  }
  {
    const CpuLimit limit("pentium");
    CHECK(error_of(options_of(32, 32, 16)).starts_with("VITRAIL_CPU: found 'pentium', expected one of: "));
  }
  const Environment onednn("VITRAIL_ONEDNN", "2");
  CHECK(error_of(options_of(32, 32, 16)) == "VITRAIL_ONEDNN: found '2', expected 0 or 1");
}

TEST_CASE("overlapping patches of one picture give it back to the bit") {
  const PatchGrid grid = PatchGrid::make(options_of(31, 31, 7, 3, 0, 3)).value();
  const std::vector<float> picture = to_float(noise(31 * 31 * 3, 5));
  std::vector<float> patches(grid.size()), back(picture.size());
  patchify(grid, picture.data(), 31 * 3 * 4, patches.data());
  assemble(grid, patches.data(), back.data(), 31 * 3 * 4);
  CHECK((back == picture));
}

TEST_CASE("means of bytes are rounded half up") {
  const PatchGrid grid = PatchGrid::make(options_of(1, 3, 1, 1, 0, 1)).value();
  PatchGridOptions o = grid.options();
  o.patch_width = 2;
  const PatchGrid overlapping = PatchGrid::make(o).value();
  const std::vector<std::uint8_t> patches = {1, 10, 13, 255};
  std::vector<std::uint8_t> picture(3);
  assemble(overlapping, patches.data(), picture.data(), 3);
  CHECK(picture == std::vector<std::uint8_t>{1, 12, 255});
}

TEST_CASE("a remainder is refused, padded or cropped") {
  PatchGridOptions o = options_of(20, 33, 16);
  CHECK(error_of(o) ==
        "height: found 20, expected 16 or 32 (patches of 16, stride 16, padding 0), or Remainder::pad or "
        "Remainder::crop");
  o.remainder = Remainder::pad;
  CHECK(PatchGrid::make(o).value().rows() == 2);
  CHECK(PatchGrid::make(o).value().columns() == 3);
  o.remainder = Remainder::crop;
  CHECK(PatchGrid::make(o).value().rows() == 1);
  CHECK(PatchGrid::make(o).value().columns() == 2);
  CHECK(PatchGrid::make(o).value().token_at(32, 0) == -1);
  o.remainder = Remainder::refuse;
  o.height = 32;
  CHECK(
      error_of(o) ==
      "width: found 33, expected 32 or 48 (patches of 16, stride 16, padding 0), or Remainder::pad or Remainder::crop");
  o = options_of(10, 10, 4, 3, 1);
  CHECK(error_of(o) ==
        "height: found 10, expected 8 or 11 (patches of 4, stride 3, padding 1), or Remainder::pad or Remainder::crop");
  o = options_of(32768, 32768, 3);
  CHECK(
      error_of(o) ==
      "height: found 32768, expected 32766 (patches of 3, stride 3, padding 0), or Remainder::pad or Remainder::crop");
}

TEST_CASE("a picture smaller than a patch") {
  PatchGridOptions o = options_of(5, 16, 16);
  CHECK(error_of(o) ==
        "height: found 5, expected 16 (patches of 16, stride 16, padding 0), or Remainder::pad or Remainder::crop");
  o.remainder = Remainder::crop;
  CHECK(error_of(o) == "height: found 5, expected at least 16, one whole patch, or Remainder::pad");
  o.remainder = Remainder::pad;
  CHECK(PatchGrid::make(o).value().count() == 1);
}

TEST_CASE("padding adds no patch of nothing but zeros") {
  PatchGridOptions o = options_of(12, 12, 2, 4);
  o.remainder = Remainder::pad;
  CHECK(PatchGrid::make(o).value().rows() == 3);
  o = options_of(7, 8, 4, 4, 1);
  o.remainder = Remainder::pad;
  CHECK(PatchGrid::make(o).value().rows() == 2);
  CHECK(PatchGrid::make(o).value().columns() == 3);
}

TEST_CASE("each option has its range") {
  const PatchGridOptions good = options_of(32, 32, 16);
  const auto with = [&good](auto change) {
    PatchGridOptions o = good;
    change(o);
    return error_of(o);
  };
  CHECK(with([](auto&) {}).empty());
  CHECK(with([](auto& o) { o.height = 0; }) == "height: found 0, expected 1 to 32768");
  CHECK(with([](auto& o) { o.height = 32769; }) == "height: found 32769, expected 1 to 32768");
  CHECK(with([](auto& o) { o.width = -3; }) == "width: found -3, expected 1 to 32768");
  CHECK(with([](auto& o) { o.channels = 0; }) == "channels: found 0, expected 1 to 64");
  CHECK(with([](auto& o) { o.channels = 65; }) == "channels: found 65, expected 1 to 64");
  CHECK(with([](auto& o) { o.patch_height = 0; }) == "patch_height: found 0, expected 1 to 4096");
  CHECK(with([](auto& o) { o.patch_width = 4097; }) == "patch_width: found 4097, expected 1 to 4096");
  CHECK(with([](auto& o) { o.stride_y = -1; }) == "stride_y: found -1, expected 0 to 32768");
  CHECK(with([](auto& o) { o.stride_x = 40000; }) == "stride_x: found 40000, expected 0 to 32768");
  CHECK(with([](auto& o) { o.padding_y = 16; }) == "padding_y: found 16, expected 0 to 15");
  CHECK(with([](auto& o) { o.padding_x = -1; }) == "padding_x: found -1, expected 0 to 15");
  CHECK(with([](auto& o) { o.remainder = static_cast<Remainder>(7); }) == "remainder: found 7, expected a Remainder");
}

TEST_CASE("the largest grid does not overflow") {
  const PatchGridOptions o = options_of(32768, 32768, 4096, 1, 4095, 64);
  const auto made = PatchGrid::make(o);
  if (sizeof(std::size_t) == 4) {  // more than such a machine can address
    REQUIRE(!made);
    CHECK(made.error().message.find("elements in all patches, expected at most 536870911") != std::string::npos);
    return;
  }
  REQUIRE(made);
  const PatchGrid& grid = *made;
  CHECK(grid.rows() == 32768 + 4095);
  CHECK(grid.count() > 0);
  CHECK(grid.size() / grid.patch_size() == static_cast<std::size_t>(grid.count()));
  CHECK(grid.rect(grid.count() - 1).x == 32767);
}

TEST_CASE("a grid that was not made has no patches, and nothing is read or written") {
  const PatchGrid none;
  for (const PatchOrder order : {PatchOrder::hwc, PatchOrder::chw}) {
    patchify(none, static_cast<const std::uint8_t*>(nullptr), 0, nullptr, order);
    assemble(none, static_cast<const float*>(nullptr), nullptr, 0, order);
  }
  CHECK(none.count() == 0);
  PatchGridOptions o;
  o.height = o.width = 32;
  o.patch_height = std::numeric_limits<int>::min();
  CHECK(error_of(o) == "patch_height: found -2147483648, expected 1 to 4096");
}

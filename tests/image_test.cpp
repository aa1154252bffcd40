#include "vitrail/image.hpp"

#include <doctest/doctest.h>

#include <string>

#include "runtime/pixel_rows.hpp"
#include "tests/support/pictures.hpp"

using namespace vitrail;
using namespace vitrail::test;

namespace {

std::string error_of(const ImageView& view) {
  const Status status = check(view);
  return status ? "" : status.error().message;
}

}  // namespace

TEST_CASE("bytes per pixel") {
  CHECK(bytes_per_pixel(PixelFormat::rgb8) == 3);
  CHECK(bytes_per_pixel(PixelFormat::bgr8) == 3);
  CHECK(bytes_per_pixel(PixelFormat::rgba8) == 4);
  CHECK(bytes_per_pixel(PixelFormat::bgra8) == 4);
  CHECK(bytes_per_pixel(PixelFormat::gray8) == 1);
}

TEST_CASE("check names the argument, what it found and what it expected") {
  const std::uint8_t pixels[64] = {};
  const ImageView good{pixels, 4, 2, 12, PixelFormat::rgb8};
  CHECK(error_of(good).empty());
  ImageView view = good;
  view.stride_bytes = -12;
  CHECK(error_of(view).empty());
  view.stride_bytes = 11;
  CHECK(error_of(view) == "image.stride_bytes: found 11, expected at least 12 (4 pixels of 3 bytes), or its negative");
  view.stride_bytes = -11;
  CHECK(error_of(view) == "image.stride_bytes: found -11, expected at least 12 (4 pixels of 3 bytes), or its negative");
  view = good;
  view.data = nullptr;
  CHECK(error_of(view) == "image.data: found null, expected a pointer to the first row");
  view = good;
  view.width = 0;
  CHECK(error_of(view) == "image.width: found 0, expected 1 to 32768");
  view.width = 32769;
  CHECK(error_of(view) == "image.width: found 32769, expected 1 to 32768");
  view = good;
  view.height = -1;
  CHECK(error_of(view) == "image.height: found -1, expected 1 to 32768");
  view = good;
  view.format = static_cast<PixelFormat>(9);
  CHECK(error_of(view) == "image.format: found 9, expected a PixelFormat");
  CHECK(check(view).error().code == ErrorCode::invalid_argument);
}

TEST_CASE("an Image starts black, without gaps, and views itself") {
  Image image(5, 3, PixelFormat::bgra8);
  CHECK(image.row_bytes() == 20);
  CHECK(image.size_bytes() == 60);
  CHECK(image.row(2) == image.row(0) + 40);
  for (std::size_t i = 0; i < image.size_bytes(); ++i) CHECK(image.row(0)[i] == 0);
  const ImageView view = image;
  CHECK(check(view));
  CHECK(view.data == image.row(0));
  CHECK(view.width == 5);
  CHECK(view.height == 3);
  CHECK(view.stride_bytes == 20);
  CHECK(view.format == PixelFormat::bgra8);
  CHECK(Image().size_bytes() == 0);
}

TEST_CASE("convert_row: every format to rgb8 and gray8") {
  const int width = 5;
  for (const PixelFormat from : all_formats) {
    CAPTURE(static_cast<int>(from));
    const int bytes = bytes_per_pixel(from);
    const std::vector<std::uint8_t> src = noise(static_cast<std::size_t>(width * bytes), 3);
    const bool swapped = from == PixelFormat::bgr8 || from == PixelFormat::bgra8;
    std::vector<std::uint8_t> rgb(3 * width);
    std::vector<std::uint8_t> gray(width);
    convert_row(src.data(), from, rgb.data(), PixelFormat::rgb8, width);
    convert_row(src.data(), from, gray.data(), PixelFormat::gray8, width);
    for (int x = 0; x < width; ++x) {
      const std::uint8_t* pixel = src.data() + x * bytes;
      const bool colour = bytes > 1;
      const unsigned red = pixel[colour && swapped ? 2 : 0];
      const unsigned green = pixel[colour ? 1 : 0];
      const unsigned blue = pixel[colour && !swapped ? 2 : 0];
      CHECK(rgb[3 * x + 0] == red);
      CHECK(rgb[3 * x + 1] == green);
      CHECK(rgb[3 * x + 2] == blue);
      CHECK(gray[x] == (colour ? (19595 * red + 38470 * green + 7471 * blue + 32768) / 65536 : pixel[0]));
    }
  }
}

TEST_CASE("gray weights are Pillow's") {
  // PIL.Image.new("RGB", (1, 1), colour).convert("L").getpixel((0, 0))
  const struct {
    std::uint8_t colour[3], gray;
  } cases[] = {{{255, 0, 0}, 76}, {{0, 255, 0}, 150}, {{0, 0, 255}, 29}, {{255, 255, 255}, 255}, {{1, 2, 3}, 2}};
  for (const auto& c : cases) {
    std::uint8_t gray = 0;
    convert_row(c.colour, PixelFormat::rgb8, &gray, PixelFormat::gray8, 1);
    CHECK(gray == c.gray);
  }
}

TEST_CASE("split_row gives the planes of convert_row") {
  const Kernels kernels = select_kernels().value();
  for (const PixelFormat from : all_formats) {
    for (const PixelFormat to : {PixelFormat::rgb8, PixelFormat::gray8}) {
      if (from == PixelFormat::gray8 && to == PixelFormat::rgb8) continue;
      for (const int width : {1, 2, 3, 17, 255, 256, 257, 513}) {
        const std::vector<std::uint8_t> src = noise(static_cast<std::size_t>(width * bytes_per_pixel(from)), 7);
        const int channels = bytes_per_pixel(to);
        std::vector<std::uint8_t> expected(static_cast<std::size_t>(width * channels));
        convert_row(src.data(), from, expected.data(), to, width);
        const std::ptrdiff_t pitch = width + 3;
        std::vector<std::int16_t> planes(static_cast<std::size_t>(pitch * channels), -1);
        split_row(kernels, src.data(), from, planes.data(), pitch, to, width);
        int wrong = 0;
        for (int c = 0; c < channels; ++c) {
          for (int x = 0; x < width; ++x) wrong += planes[c * pitch + x] != expected[x * channels + c];
          for (std::ptrdiff_t x = width; x < pitch; ++x) wrong += planes[c * pitch + x] != -1;
        }
        CHECK_MESSAGE(wrong == 0, static_cast<int>(from), " to ", static_cast<int>(to), " width ", width);
      }
    }
  }
}

// .npy files: what NumPy writes is read, what we write is what NumPy writes, and damage is refused with a message.
#include <doctest/doctest.h>

#include <cstring>
#include <fstream>
#include <string>

#include "tests/support/files.hpp"
#include "tests/support/pictures.hpp"
#include "vitrail/codecs.hpp"

using namespace vitrail;
using Bytes = std::vector<std::uint8_t>;

namespace {

/// A file as NumPy writes it: the header padded so that the elements start at a multiple of 64.
std::string npy(std::string dict, std::string_view elements, char version = 1) {
  const std::size_t length_bytes = version == 1 ? 2 : 4;
  dict.append(63 - (8 + length_bytes + dict.size()) % 64, ' ');
  dict += '\n';
  std::string file = "\x93NUMPY";
  file += {version, '\0'};
  for (std::size_t i = 0; i < length_bytes; ++i) file += static_cast<char>(dict.size() >> (8 * i));
  return file + dict + std::string(elements);
}

std::string dict(const std::string& shape, const std::string& type = "'|u1'", const std::string& order = "False") {
  return "{'descr': " + type + ", 'fortran_order': " + order + ", 'shape': " + shape + ", }";
}

Result<Image> load(std::string_view file) {
  const Bytes exact(file.begin(), file.end());
  return load_image(exact, "a.npy");
}

std::string refusal(std::string_view file) {
  const auto image = load(file);
  REQUIRE(!image);
  return image.error().message;
}

bool has(std::string_view text, std::string_view part) { return text.find(part) != text.npos; }

}  // namespace

TEST_CASE("pictures") {
  const struct {
    const char* shape;
    PixelFormat format;
  } cases[] = {{"(2, 3)", PixelFormat::gray8},
               {"(2, 3, 1)", PixelFormat::gray8},
               {"(2, 3, 3)", PixelFormat::rgb8},
               {"(2, 3, 4)", PixelFormat::rgba8}};
  const std::string elements = "abcdefghijklmnopqrstuvwx";
  for (const auto& expected : cases) {
    for (const char version : {1, 2, 3}) {
      CAPTURE(expected.shape);
      const std::size_t size = 6 * static_cast<std::size_t>(bytes_per_pixel(expected.format));
      const auto image = load(npy(dict(expected.shape), elements.substr(0, size), version));
      REQUIRE_MESSAGE(image, image.error().message);
      CHECK(image->height() == 2);
      CHECK(image->width() == 3);
      CHECK(image->format() == expected.format);
      CHECK(std::memcmp(image->row(0), elements.data(), size) == 0);
    }
  }
}

TEST_CASE("bools are bytes") {
  const auto image = load(npy(dict("(2, 3)", "'|b1'"), std::string("\0\1\1\0\0\1", 6)));
  REQUIRE_MESSAGE(image, image.error().message);
  CHECK(image->row(0)[1] == 1);
}

TEST_CASE("refusals") {
  CHECK(has(refusal(npy(dict("(2, 3, 2)"), "abcdefghijkl")), "shape (2, 3, 2)"));
  CHECK(has(refusal(npy(dict("(6,)"), "abcdef")), "shape (6,)"));
  CHECK(has(refusal(npy(dict("(2, 3)", "'<f4'"), "abcdef")), "'<f4'"));
  CHECK(has(refusal(npy(dict("(2, 3)", "[('x', '|u1')]"), "abcdef")), "expected '|u1'"));
  CHECK(has(refusal(npy(dict("(2, 3)", "'|u1'", "True"), "abcdef")), "Fortran"));
  CHECK(has(refusal(npy(dict("(2, 3)"), "abcde")), "5 bytes of elements, expected 6"));
  CHECK(has(refusal(npy(dict("(0, 3)"), "")), "empty"));
  CHECK(has(refusal(npy(dict("(99999999, 99999999)"), "x")), "more than 2^30"));
  CHECK(has(refusal(npy(dict("(99999999999999999999, 3)"), "x")), "shape cannot be read"));
  CHECK(has(refusal(npy(dict("(-1, 3)"), "x")), "shape cannot be read"));
  CHECK(has(refusal(npy(dict("(40000, 1)"), std::string(40000, 'x'))), "too large"));
  CHECK(has(refusal(npy("{}", "")), "must hold descr"));
  CHECK(has(refusal(npy(dict("2, 3"), "abcdef")), "not a tuple"));
  std::string version9 = npy(dict("(2, 3)"), "abcdef");
  version9[6] = 9;
  CHECK(has(refusal(version9), "version 9"));
  const std::string good = npy(dict("(2, 3)"), "abcdef");
  for (std::size_t cut = 6; cut < good.size(); ++cut) CHECK(!load(good.substr(0, cut)));
  std::string many = "(";
  for (int i = 0; i < 100; ++i) many += "1, ";
  CHECK(has(refusal(npy(dict(many + ")"), "x")), "shape cannot be read"));
}

TEST_CASE("damaged bytes never crash") {
  const std::string good = npy(dict("(2, 3)"), "abcdef");
  std::uint32_t state = 1;
  for (int i = 0; i < 5000; ++i) {
    std::string file = good;
    for (const std::uint8_t byte : test::noise(3, state += 77)) {
      state = state * 1664525u + byte;
      file[(state >> 8) % file.size()] = static_cast<char>(state >> 24);
    }
    (void)load(file);
  }
}

TEST_CASE("writing") {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "a.npy";
  const float values[] = {1.5f, -2, 3, 4, 5, 6};
  const std::size_t shape[] = {2, 3};
  REQUIRE(save_npy(path, shape, values));
  std::ifstream stream(path, std::ios::binary);
  const std::string file{std::istreambuf_iterator<char>(stream), {}};
  const std::string_view raw(reinterpret_cast<const char*>(values), sizeof values);
  CHECK(file == npy(dict("(2, 3)", "'<f4'"), raw));

  const Bytes bytes = test::noise(24, 3);
  const std::size_t bytes_shape[] = {4, 6};
  REQUIRE(save_npy(path, bytes_shape, bytes));
  const auto back = load_npy_u8(path);
  REQUIRE_MESSAGE(back, back.error().message);
  CHECK(back->shape == std::vector<std::size_t>{4, 6});
  CHECK(back->data == bytes);

  const std::size_t one[] = {24};
  REQUIRE(save_npy(path, one, bytes));
  CHECK(load_npy_u8(path)->shape == std::vector<std::size_t>{24});
  const Status wrong = save_npy(path, shape, bytes);
  REQUIRE(!wrong);
  CHECK(has(wrong.error().message, "24 elements do not fill the shape (2, 3)"));
  CHECK(load_npy_u8(path)->data == bytes);  // what was there stays
  CHECK(!save_npy(folder.path() / "missing" / "a.npy", one, bytes));
  CHECK(!load_npy_u8(folder.path() / "missing.npy"));
  const std::size_t none[] = {0, 5};
  REQUIRE(save_npy(path, none, std::span<const float>()));
}

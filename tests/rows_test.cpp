// Pictures that come row by row: the same pixels as of a whole one, and never whole in memory.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/support/allocations.hpp"
#include "tests/support/codecs.hpp"
#include "tests/support/files.hpp"
#include "tests/support/golden.hpp"
#include "tests/support/pictures.hpp"
#include "vitrail/codecs.hpp"
#include "vitrail/vitrail.hpp"

using namespace vitrail;
using namespace vitrail::test;
namespace fs = std::filesystem;

namespace {

Picture noise_picture(int width, int height, PixelFormat format) {
  return {noise(static_cast<std::size_t>(width * height * bytes_per_pixel(format)), 3), width, height, format};
}

/// A grey JPEG of any size in two bits a block: both Huffman tables have one code, 0, for "no difference" and "no
/// more".
std::string flat_jpeg(int width, int height, int exif_orientation) {
  std::string file("\xff\xd8", 2);
  const auto segment = [&](int marker, const std::string& body) {
    const std::size_t length = body.size() + 2;
    file += {'\xff', static_cast<char>(marker), static_cast<char>(length >> 8), static_cast<char>(length)};
    file += body;
  };
  const auto two_bytes = [](int value) { return std::string{static_cast<char>(value >> 8), static_cast<char>(value)}; };
  std::string exif("Exif\0\0MM\0*\0\0\0\x8\0\x1\1\x12\0\3\0\0\0\1\0", 25);
  segment(0xe1, exif + std::string{static_cast<char>(exif_orientation), 0, 0, 0, 0, 0, 0});
  segment(0xdb, std::string(1, '\0') + std::string(64, '\1'));
  segment(0xc0, "\x8" + two_bytes(height) + two_bytes(width) + std::string("\3\1\x22\0\2\x11\0\3\x11\0", 10));
  for (const char table : {'\x00', '\x10'})
    segment(0xc4, std::string{table, '\1'} + std::string(15, '\0') + std::string(1, '\0'));
  segment(0xda, std::string("\3\1\0\2\0\3\0\0\x3f\0", 10));
  const int blocks = (width + 15) / 16 * ((height + 15) / 16) * 6;
  return file + std::string(static_cast<std::size_t>(blocks / 4), '\0') + std::string("\xff\xd9", 2);
}

fs::path written(const TemporaryFolder& folder, const std::string& bytes) {
  const fs::path path = folder.path() / "picture.jpg";
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

}  // namespace

TEST_CASE("a resize of rows equals the resize of the whole picture") {
  std::uint32_t seed = 9;
  const auto pick = [&seed](int low, int high) {
    seed = seed * 1664525u + 1013904223u;
    return low + static_cast<int>((seed >> 8) % static_cast<std::uint32_t>(high - low + 1));
  };
  int vertical_first = 0;
  for (int i = 0; i < 600; ++i) {
    Resizer::Options o;
    o.src_width = pick(1, 70), o.src_height = pick(1, 70), o.dst_width = pick(1, 70), o.dst_height = pick(1, 70);
    if (pick(0, 4) == 0) o.dst_width = o.src_width;
    if (pick(0, 4) == 0) o.dst_height = o.src_height;
    o.window_width = pick(1, o.dst_width), o.window_height = pick(1, o.dst_height);
    o.window_x = pick(0, o.dst_width - o.window_width), o.window_y = pick(0, o.dst_height - o.window_height);
    o.src_format = all_formats[pick(0, 4)];
    o.dst_format = pick(0, 1) == 0 ? PixelFormat::rgb8 : PixelFormat::gray8;
    o.backend = static_cast<ResizeBackend>(pick(0, 2));
    o.filter = static_cast<Resampling>(pick(0, 5));
    o.pass_order = pick(0, 1) == 0 ? PassOrder::pillow_13 : PassOrder::horizontal_first;
    auto whole = Resizer::plan(o);
    if (!whole) continue;  // a filter that the backend does not have
    o.by_rows = true;
    Resizer by_rows = Resizer::plan(o).value();
    vertical_first += o.pass_order == PassOrder::pillow_13 && o.backend == ResizeBackend::pillow &&
                      o.src_height - o.dst_height > std::max(0, 2 * (o.src_width - o.dst_width));

    const Picture picture = noise_picture(o.src_width, o.src_height, o.src_format);
    const std::ptrdiff_t stride = std::ptrdiff_t{o.window_width} * bytes_per_pixel(o.dst_format);
    std::vector<std::uint8_t> expected(static_cast<std::size_t>(stride * o.window_height)), found(expected.size());
    REQUIRE(whole->run(picture.view, expected.data(), stride));
    ViewRows rows(picture.view);
    REQUIRE(by_rows.run(rows, found.data(), stride));
    CHECK(found == expected);
    CHECK(rows.rows_given() == o.src_height);  // also those nobody needs: the file may be damaged there
    std::fill(found.begin(), found.end(), std::uint8_t{0});
    REQUIRE(by_rows.run(picture.view, found.data(), stride));
    CHECK(found == expected);

    ViewRows broken(picture.view, pick(0, o.src_height - 1));
    const Status status = by_rows.run(broken, found.data(), stride);
    REQUIRE(!status);
    CHECK(status.error().message.find("is damaged") != std::string::npos);
    ViewRows refused(picture.view);
    CHECK(!whole->run(refused, found.data(), stride));
  }
  CHECK(vertical_first > 20);
}

TEST_CASE("a session gives the same answer for rows, at the network's size and at others") {
  const Model model = Model::load(fs::path(VITRAIL_SOURCE_DIR) / "models/demo").value();
  Session session = model.session().value(), any_size = model.session({.any_size = true}).value();
  const int side = model.info().image_width;
  for (const PixelFormat format : all_formats)
    for (const auto& [width, height] : {std::pair(side, side), {3 * side, 2 * side}, {side / 2, side}, {17, 300}}) {
      CAPTURE(width);
      const Picture picture = noise_picture(width, height, format);
      const auto whole = session.run(picture.view);
      REQUIRE(whole);
      const std::vector<float> expected(whole->logits.begin(), whole->logits.end());
      ViewRows rows(picture.view);
      const auto output = session.run(rows);
      REQUIRE(output);
      CHECK(std::equal(expected.begin(), expected.end(), output->logits.begin(), output->logits.end()));

      ViewRows broken(picture.view, height - 1);
      const auto refused = session.run(broken);
      REQUIRE(!refused);
      CHECK(refused.error().message == "row " + std::to_string(height - 1) + " is damaged");
      const auto again = session.run(picture.view);
      REQUIRE(again);
      CHECK(std::equal(expected.begin(), expected.end(), again->logits.begin(), again->logits.end()));
    }
  const Picture small = noise_picture(side / 2, side, PixelFormat::rgb8);
  ViewRows rows(small.view);
  const auto output = any_size.run(rows);
  REQUIRE(output);
  const std::vector<float> found(output->tokens.begin(), output->tokens.end());
  const auto expected = any_size.run(small.view).value().tokens;
  CHECK(std::equal(found.begin(), found.end(), expected.begin(), expected.end()));
}

TEST_CASE("a file of known size is read into memory of that size" * doctest::skip(!has_jpeg)) {
  const TemporaryFolder folder;
  const std::string picture = flat_jpeg(64, 64, 1),
                    comment = std::string("\xff\xfe\xff\xff", 4) + std::string(65533, 'c');
  std::string file = picture.substr(0, 2);
  while (file.size() < (std::size_t{17} << 20)) file += comment;
  const fs::path path = written(folder, file + picture.substr(2));
  const std::uint64_t before = big_allocations();
  REQUIRE(open_image(path));
  CHECK(big_allocations() == before + 1);
}

TEST_CASE("a source that is not what it should be is an error, whoever reads it") {
  struct Endless : RowSource {
    Endless() : RowSource(17, 30, PixelFormat::rgb8) {}
    Result<const std::uint8_t*> next_row() override { throw std::length_error("a vector's word"); }
  };
  struct Bad : RowSource {
    Bad(int width, int height, PixelFormat format) : RowSource(width, height, format) {}
    Result<const std::uint8_t*> next_row() override { throw std::runtime_error("the driver is gone"); }
  };
  const Model model = Model::load(fs::path(VITRAIL_SOURCE_DIR) / "models/demo").value();
  const int side = model.info().image_width;
  Session session = model.session().value(), any_size = model.session({.any_size = true}).value();
  PreprocessConfig shortest;
  shortest.resize = PreprocessConfig::Resize::shortest_edge;
  shortest.resize_height = 8;
  Preprocessor preprocessor(shortest, 3);
  Resizer resizer =
      Resizer::plan({.src_width = 9, .src_height = 9, .dst_width = 4, .dst_height = 4, .by_rows = true}).value();
  Resizer whole = Resizer::plan({.src_width = 9, .src_height = 9, .dst_width = 4, .dst_height = 4}).value();
  std::uint8_t pixels[4 * 4 * 3];
  const auto message = [](const auto& result) { return result ? std::string("none") : result.error().message; };
  const auto all = [&](Bad rows, const std::string& expected) {
    CAPTURE(rows.width());
    CHECK(message(session.run(rows)) == expected);
    CHECK(message(preprocessor.run(rows)) == expected);
  };
  all({0, 0, PixelFormat::rgb8}, "image.width: found 0, expected 1 to 32768");
  all({5, 40000, PixelFormat::rgb8}, "image.height: found 40000, expected 1 to 32768");
  const auto no_format = static_cast<PixelFormat>(77);
  all({side, side, no_format}, "image.format: found 77, expected a PixelFormat");
  all({17, 30, PixelFormat::rgb8}, "the driver is gone");
  all({side, side, PixelFormat::rgb8}, "the driver is gone");
  struct Empty : RowSource {
    Empty(int width, int height) : RowSource(width, height, PixelFormat::rgb8) {}
    Result<const std::uint8_t*> next_row() override { return nullptr; }
  };
  Empty as_network(side, side), other(17, 30), planned(9, 9);
  const std::string no_row = "picture: found null for row 0, expected its pixels";
  CHECK(message(session.run(as_network)) == no_row);
  CHECK(message(session.run(other)) == no_row);
  CHECK(message(resizer.run(planned, pixels, 12)) == no_row);
  Endless endless;
  CHECK(message(session.run(endless)) == "out of memory");
  CHECK(session.run(endless).error().code == ErrorCode::out_of_memory);
  Bad small(side, side / 2, PixelFormat::rgb8), nine(9, 9, PixelFormat::rgb8), odd(9, 9, no_format);
  CHECK(message(any_size.run(small)) == "the driver is gone");
  CHECK(message(resizer.run(nine, pixels, 12)) == "the driver is gone");
  CHECK(message(whole.run(nine, pixels, 12)) ==
        "src: found a picture that comes row by row, expected a plan with by_rows");
  CHECK(message(resizer.run(odd, pixels, 12)) == "src: found 9 × 9 of no PixelFormat, expected 9 × 9 rgb8, as planned");
}

TEST_CASE("a JPEG of 12 megapixels is never whole in memory, and once where it is turned" * doctest::skip(!has_jpeg)) {
  const TemporaryFolder folder;
  const Model model = Model::load(fs::path(VITRAIL_SOURCE_DIR) / "models/demo").value();
  Session session = model.session().value();
  std::vector<float> logits;
  for (const int orientation : {1, 2, 6}) {
    CAPTURE(orientation);
    const fs::path path = written(folder, flat_jpeg(4000, 3000, orientation));  // 36 MB of pixels
    const std::uint64_t before = big_allocations();
    auto rows = open_image(path);
    REQUIRE_MESSAGE(rows, (rows ? "" : rows.error().message));
    CHECK((*rows)->width() == (orientation == 6 ? 3000 : 4000));
    const auto output = session.run(**rows);
    REQUIRE(output);
    CHECK(big_allocations() - before == (orientation == 1 ? 0 : 1));
    if (orientation == 1) logits.assign(output->logits.begin(), output->logits.end());

    const std::uint64_t start = big_allocations();
    const auto whole = load_image(path);
    REQUIRE(whole);
    CHECK(big_allocations() - start == 1);
    CHECK(whole->row(1000)[1000] == 128);
  }
  const Picture grey(std::vector<std::uint8_t>(400 * 300, 128), 400, 300, PixelFormat::gray8);
  const auto expected = session.run(grey.view).value().logits;
  CHECK(std::equal(logits.begin(), logits.end(), expected.begin(), expected.end()));
}

TEST_CASE("a source is read once; what reads it again gets an error") {
  const TemporaryFolder folder;
  const fs::path pictures = fs::path(VITRAIL_SOURCE_DIR) / "tests/goldens/pictures";
  const Model model = Model::load(fs::path(VITRAIL_SOURCE_DIR) / "models/demo").value();
  Session session = model.session().value();
  write_file(folder / "a.ppm", "P6 2 3 255\n" + std::string(18, 'x'));
  write_file(folder / "upright.jpg", flat_jpeg(33, 20, 1));
  write_file(folder / "turned.jpg", flat_jpeg(33, 20, 6));
  for (const fs::path& path :
       {folder / "a.ppm", folder / "upright.jpg", folder / "turned.jpg", pictures / "png_rgb.png",
        pictures / "webp_lossy.webp", pictures / "bad_jpeg_half.jpg"}) {
    if (!has_codec(path)) continue;
    CAPTURE(path);
    auto rows = open_image(path);
    REQUIRE(rows);
    const auto first = session.run(**rows);
    const bool damaged = path.filename() == "bad_jpeg_half.jpg";
    CHECK(bool(first) != damaged);
    if (damaged) CHECK(first.error().code == ErrorCode::bad_file);
    for (int again = 0; again < 2; ++again) {
      const auto refused = session.run(**rows);
      REQUIRE(!refused);
      CHECK(refused.error().code == ErrorCode::invalid_argument);
      CHECK(refused.error().message ==
            path.string() + ": found a source that was read, expected one that was not: open the file again");
    }
  }
}

TEST_CASE("files row by row are the files at once, damage included") {
  const fs::path pictures = fs::path(VITRAIL_SOURCE_DIR) / "tests/goldens/pictures";
  int same = 0, damaged = 0;
  for (const auto& entry : fs::directory_iterator(pictures)) {
    CAPTURE(entry.path());
    const auto image = load_image(entry.path());
    auto rows = open_image(entry.path());
    if (!image) {
      Error error{};
      if (rows) {
        for (int y = 0; y < (*rows)->height() && error.message.empty(); ++y)
          if (const auto row = (*rows)->next_row(); !row) error = row.error();
      } else {
        error = rows.error();
      }
      CHECK(error.message == image.error().message);
      CHECK(error.code == image.error().code);
      ++damaged;
      continue;
    }
    REQUIRE(rows);
    REQUIRE((*rows)->width() == image->width());
    REQUIRE((*rows)->height() == image->height());
    bool equal = true;
    for (int y = 0; y < image->height(); ++y) {
      const auto row = (*rows)->next_row();
      REQUIRE(row);
      equal = equal && std::equal(*row, *row + image->row_bytes(), image->row(y));
    }
    CHECK(equal);
    ++same;
  }
  CHECK(same > (has_all_codecs ? 80 : 1));
  CHECK(damaged > 10);
  const auto missing = open_image("no/such/file.jpg");
  REQUIRE(!missing);
  CHECK(missing.error().message.find("no/such/file.jpg") != std::string::npos);
}

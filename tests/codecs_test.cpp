// load_image against what Pillow read from the same files (goldens/pictures), refusals with their messages, and damage:
// thousands of mutated files, none of which may crash, leak or read outside (run under the sanitizers, too).
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <string>

#include "tests/support/codecs.hpp"
#include "tests/support/files.hpp"
#include "tests/support/pictures.hpp"
#include "vitrail/codecs.hpp"

using namespace vitrail;
using vitrail::test::has_all_codecs, vitrail::test::has_codec, vitrail::test::has_jpeg, vitrail::test::has_png,
    vitrail::test::has_webp;
namespace fs = std::filesystem;
using namespace std::string_view_literals;
using Bytes = std::vector<std::uint8_t>;

namespace {

const fs::path kPictures = fs::path(VITRAIL_SOURCE_DIR) / "tests/goldens/pictures";

Bytes read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

Bytes bytes_of(std::string_view text) { return {text.begin(), text.end()}; }

Result<Image> load(const Bytes& bytes, bool apply_exif = true) {
  return load_image(bytes, "memory", {.apply_exif = apply_exif});
}

/// The message of the error that must come.
std::string refusal(const Bytes& bytes) {
  const auto image = load(bytes);
  REQUIRE(!image);
  return image.error().message;
}

bool has(std::string_view text, std::string_view part) { return text.find(part) != text.npos; }

}  // namespace

TEST_CASE("pictures have the bytes Pillow gives them") {
  // Pillow reads these although pixels are missing or damaged; here they are refused.
  const std::set<std::string> stricter = {"bad_png_no_iend.png", "bad_png_crc_idat.png", "bad_png_short_data.png",
                                          "bad_png_no_plte.png", "bad_webp_animated.webp"};
  const std::set<std::string> not_read = {".bmp", ".gif"};
  const auto golden = nlohmann::json::parse(std::ifstream(kPictures / "pictures.json"));
  int equal = 0, refused = 0;
  for (const auto& entry : golden["pictures"]) {
    const std::string name = entry["file"];
    CAPTURE(name);
    const auto image = load_image(kPictures / name);
    if (entry.contains("error") || stricter.contains(name) || !has_codec(name) ||
        not_read.contains(fs::path(name).extension().string())) {
      CHECK(!image);
      if (!image) CHECK(has(image.error().message, name));
      ++refused;
      continue;
    }
    CHECK_MESSAGE(image, image.error().message);
    if (!image) continue;
    CHECK(image->format() == PixelFormat::rgb8);
    CHECK(image->width() == entry["width"].get<int>());
    CHECK(image->height() == entry["height"].get<int>());
    const std::uint64_t expected = std::stoull(entry["rgb_fnv1a64"].get<std::string>(), nullptr, 16);
    CHECK(test::fnv1a64(image->row(0), image->size_bytes()) == expected);
    ++equal;
  }
  CHECK(equal > (has_all_codecs ? 80 : 0));
  CHECK(refused > 20);
}

TEST_CASE("WebP files that are refused say why" * doctest::skip(!has_webp)) {
  const auto refused = [](const char* name) { return refusal(read(kPictures / name)); };
  CHECK(refused("bad_webp_animated.webp") == "memory: animated WebP; files with one picture are read");
  for (const char* name :
       {"bad_webp_half.webp", "bad_webp_lossless_half.webp", "bad_webp_header_only.webp", "bad_webp_riff_only.webp"}) {
    CAPTURE(name);
    CHECK(refused(name) == "memory: damaged WebP: it is cut off");
  }
  CHECK(has(refused("bad_webp_zero_width.webp"), "damaged WebP: its data make no sense"));
  // Every prefix of a picture, lossy and lossless.
  for (const char* name : {"webp_lossy.webp", "webp_lossless.webp"}) {
    const Bytes whole = read(kPictures / name);
    for (std::size_t length = 12; length < whole.size() - 1; length += 7)
      CHECK_FALSE(load(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length))));
  }
}

TEST_CASE("orientation can be left alone" * doctest::skip(!has_jpeg)) {
  const auto turned = load_image(kPictures / "jpeg_exif6.jpg"),
             as_it_is = load_image(kPictures / "jpeg_exif6.jpg", {.apply_exif = false});
  REQUIRE(turned);
  REQUIRE(as_it_is);
  CHECK(turned->width() == as_it_is->height());
  CHECK(turned->height() == as_it_is->width());
  // 6: what was at the left is at the top.
  for (int x = 0; x < turned->width(); ++x) {
    CHECK(std::memcmp(turned->row(0) + 3 * x, as_it_is->row(as_it_is->height() - 1 - x), 3) == 0);
  }
}

TEST_CASE("what follows a WebP's end is no part of it" * doctest::skip(!has_webp)) {
  const auto file = test::read_file(kPictures / "webp_lossless.webp");
  const auto whole = load_image(bytes_of(file), "whole");
  REQUIRE(whole);
  REQUIRE(whole->width() != whole->height());
  const std::string exif("EXIF\x1a\0\0\0II*\0\x8\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0\0\0\0\0", 34);
  const auto longer = load_image(bytes_of(file + exif), "longer");
  REQUIRE(longer);
  CHECK(longer->width() == whole->width());  // not turned by 6
}

TEST_CASE("EXIF cannot lead outside the file" * doctest::skip(!has_jpeg)) {
  // A JPEG with its EXIF block replaced by every kind of nonsense; the pixels stay readable.
  const Bytes plain = read(kPictures / "jpeg_420.jpg");
  const auto with_exif = [&](Bytes tiff) {
    Bytes segment = bytes_of("\xff\xe1__Exif\0\0"sv);
    segment.insert(segment.end(), tiff.begin(), tiff.end());
    segment[2] = static_cast<std::uint8_t>((segment.size() - 2) >> 8);
    segment[3] = static_cast<std::uint8_t>((segment.size() - 2) & 0xff);
    Bytes file(plain.begin(), plain.begin() + 2);
    file.insert(file.end(), segment.begin(), segment.end());
    file.insert(file.end(), plain.begin() + 2, plain.end());
    return load(file);
  };
  const Bytes little = {'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, 6, 0, 0, 0};
  const Bytes big = {'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0};
  const Bytes as_long = {'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 4, 0, 1, 0, 0, 0, 6, 0, 0, 0};
  const auto upright = load(plain);
  REQUIRE(upright);
  const auto is_turned = [&](const Bytes& tiff) {
    const auto image = with_exif(tiff);
    REQUIRE_MESSAGE(image, image.error().message);
    return image->width() != upright->width();
  };
  CHECK(is_turned(little));
  CHECK(is_turned(big));
  CHECK(is_turned(as_long));
  for (std::size_t cut = 0; cut < little.size() - 2; ++cut) {
    CHECK_FALSE(is_turned(Bytes(little.begin(), little.begin() + static_cast<std::ptrdiff_t>(cut))));
  }
  Bytes wrong = little;
  wrong[4] = wrong[5] = wrong[6] = wrong[7] = 0xff;  // the directory lies at 4 GiB
  CHECK_FALSE(is_turned(wrong));
  wrong = little;
  wrong[8] = wrong[9] = 0xff;  // 65535 entries
  CHECK(is_turned(wrong));
  wrong = little;
  wrong[14] = wrong[15] = 0xff;  // 65535 values, at offset 6: outside, or whatever lies there
  CHECK_FALSE(is_turned(wrong));
  wrong = little;
  wrong[12] = 2;  // text
  CHECK_FALSE(is_turned(wrong));

  Bytes xmp = bytes_of("\xff\xe1__http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation=\"8\"/>"sv);
  xmp[2] = 0;
  xmp[3] = static_cast<std::uint8_t>(xmp.size() - 2);
  Bytes file(plain.begin(), plain.begin() + 2);
  file.insert(file.end(), xmp.begin(), xmp.end());
  file.insert(file.end(), plain.begin() + 2, plain.end());
  const auto image = load(file);
  REQUIRE(image);
  CHECK(image->width() == upright->height());
}

TEST_CASE("refusals say what was found and what was expected") {
  CHECK(has(refusal({}), "it is empty"));
  CHECK(has(refusal(bytes_of("GIF89a..")), "starts with 47 49 46"));
  CHECK(has(refusal(bytes_of("P5")), "damaged PNM"));
  CHECK(has(refusal(bytes_of("P6 2 2 255\nabc")), "3 bytes of pixels, expected 12"));
  CHECK(has(refusal(bytes_of("P6 2 2 65535\nabc")), "largest sample is 65535"));
  CHECK(has(refusal(bytes_of("P5 40000 2 255\n")), "too large"));
  CHECK(has(refusal(bytes_of("P5 32768 32768 255\n")), "too large"));
  CHECK(has(refusal(bytes_of("P5 0 2 255\n")), "empty"));
  CHECK(refusal(bytes_of("P5 1 1 255xA")) == "memory: damaged PNM: no blank between header and pixels");
  CHECK(has(refusal(bytes_of("P5 99999999999999999999 2 255\n")), "damaged PNM"));
  const auto folder = load_image(fs::temp_directory_path());
  REQUIRE(!folder);
  CHECK(has(folder.error().message, "is a folder"));
  const auto missing = load_image("no/such/file.png");
  REQUIRE(!missing);
  CHECK(missing.error().code == ErrorCode::io);
  CHECK(has(missing.error().message, "no/such/file.png"));

  const auto refuses = [](const char* name) {
    const auto image = load_image(kPictures / name);
    REQUIRE(!image);
    CHECK(has(image.error().message, has_codec(name) ? "too large" : "this build has no"));
  };
  refuses("bad_jpeg_bomb.jpg");
  refuses("bad_png_bomb.png");
}

TEST_CASE("JPEGs that no camera writes are refused" * doctest::skip(!has_jpeg)) {
  const auto segment = [](char marker, const std::string& body) {
    return std::string{'\xff', marker, '\0', static_cast<char>(body.size() + 2)} + body;
  };
  // One block of one sample that differs by nothing, which is the only code of the Huffman table.
  const std::string start = "\xff\xd8" + segment('\xdb', std::string(1, '\0') + std::string(64, '\1')) +
                            segment('\xc4', std::string("\0\1", 2) + std::string(16, '\0'));
  const std::string components("\1\x11\0\2\x11\0", 6), selectors("\1\0\2\0", 4);
  const auto with = [&](char frame, std::size_t count, int scans) {
    const std::string number(1, static_cast<char>(count));
    std::string file = start + segment(frame, std::string("\x8\0\1\0\1", 5) + number + components.substr(0, 3 * count));
    for (int i = 0; i < scans; ++i)
      file += segment('\xda', number + selectors.substr(0, 2 * count) + std::string(3, '\0')) + '\x3f';
    return bytes_of(file + "\xff\xd9");
  };
  const char progressive = '\xc2';
  CHECK(load(with(progressive, 1, 1)));
  CHECK(load(with(progressive, 1, 500)));
  CHECK(refusal(with(progressive, 1, 501)) == "memory: damaged JPEG: more than 500 scans");
  CHECK(refusal(with(progressive, 2, 1)) == "memory: JPEG with 2 components; 1, 3 or 4 are read");
}

TEST_CASE("PNM: comments, blanks and other maxima") {
  const auto image = load(bytes_of("P5 # a comment\n#another\n 2\t1\r\n3\n\x01\x03"));
  REQUIRE_MESSAGE(image, image.error().message);
  CHECK(image->width() == 2);
  CHECK(image->row(0)[0] == 85);  // 1 of 3
  CHECK(image->row(0)[5] == 255);
}

TEST_CASE("save_png and back" * doctest::skip(!has_png)) {
  const test::TemporaryFolder folder;
  for (const PixelFormat format : test::all_formats) {
    const int channels = bytes_per_pixel(format);
    const test::Picture picture(test::noise(static_cast<std::size_t>(13 * 7 * channels), 5), 13, 7, format, 3, true);
    const fs::path path = folder.path() / "picture.png";
    const Status saved = save_png(picture.view, path);
    REQUIRE_MESSAGE(saved, saved.error().message);
    const auto image = load_image(path);
    REQUIRE_MESSAGE(image, image.error().message);
    REQUIRE(image->width() == 13);
    REQUIRE(image->height() == 7);
    const bool bgr = format == PixelFormat::bgr8 || format == PixelFormat::bgra8;
    for (int y = 0; y < 7; ++y) {
      for (int x = 0; x < 13; ++x) {
        for (int c = 0; c < 3; ++c) {
          const int from = format == PixelFormat::gray8 ? 0 : bgr ? 2 - c : c;
          CHECK(image->row(y)[3 * x + c] == picture.view.row(y)[x * channels + from]);
        }
      }
    }
  }
}

TEST_CASE("output that cannot be written leaves nothing behind" * doctest::skip(!has_png)) {
  const test::TemporaryFolder folder;
  const Image image(4, 4, PixelFormat::rgb8);
  const Status no_folder = save_png(image, folder.path() / "missing" / "a.png");
  REQUIRE(!no_folder);
  CHECK(no_folder.error().code == ErrorCode::io);
  CHECK(has(no_folder.error().message, "a.png"));
  const Status is_folder = save_png(image, folder.path());
  REQUIRE(!is_folder);
  CHECK(has(is_folder.error().message, "folder"));
  CHECK(fs::is_empty(folder.path()));
  CHECK(!save_png(ImageView{}, folder.path() / "empty.png"));
  CHECK(fs::is_empty(folder.path()));

  // A full disk, and a device that must not be replaced by a file.
  if (fs::exists("/dev/full")) {
    CHECK(!save_png(image, "/dev/full"));
    CHECK(fs::is_character_file("/dev/full"));
  }
  // A link stays a link; what it points to is replaced.
  fs::create_symlink("target.png", folder.path() / "link.png");
  std::ofstream(folder.path() / "target.png") << "old";
  REQUIRE(save_png(image, folder.path() / "link.png"));
  CHECK(fs::is_symlink(folder.path() / "link.png"));
  CHECK(load_image(folder.path() / "target.png"));
  CHECK(std::distance(fs::directory_iterator(folder.path()), {}) == 2);

  const std::string longest = std::string(250, 'n') + ".png";  // as long as file systems allow
  REQUIRE(save_png(image, folder.path() / longest));
  CHECK(load_image(folder.path() / longest));
  fs::remove(folder.path() / longest);

  // Who may read it does not change; a link to nothing makes what it points to.
  fs::permissions(folder.path() / "target.png", fs::perms::owner_read | fs::perms::owner_write);
  REQUIRE(save_png(image, folder.path() / "link.png"));
  CHECK(fs::status(folder.path() / "target.png").permissions() == (fs::perms::owner_read | fs::perms::owner_write));
  fs::remove(folder.path() / "target.png");
  REQUIRE(save_png(image, folder.path() / "link.png"));
  CHECK(fs::is_symlink(folder.path() / "link.png"));
  CHECK(load_image(folder.path() / "target.png"));
}

TEST_CASE("mutated files never crash") {
  std::vector<fs::path> paths;
  for (const auto& entry : fs::directory_iterator(kPictures)) {
    const bool is_bad = entry.path().filename().string().starts_with("bad_");
    if (!is_bad && entry.path().extension() != ".json") paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());  // the order of a folder differs from machine to machine
  std::vector<Bytes> originals;
  for (const fs::path& path : paths) originals.push_back(read(path));
  REQUIRE(originals.size() > 50);
  std::mt19937 random(7);
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random()) % n; };
  int loaded = 0;
  for (int i = 0; i < 6000; ++i) {
    Bytes file = originals[below(originals.size())];
    switch (below(4)) {
      case 0:  // cut
        file.resize(below(file.size()) + 1);
        break;
      case 1:  // a piece is missing
      {
        const std::size_t first = below(file.size()), last = first + below(file.size() - first);
        file.erase(file.begin() + static_cast<std::ptrdiff_t>(first), file.begin() + static_cast<std::ptrdiff_t>(last));
      } break;
      default:  // a few bytes differ, more often near the header
        for (std::size_t n = below(6) + 1; n > 0; --n) {
          const std::size_t at = below(2) ? below(file.size()) : below(std::min<std::size_t>(file.size(), 200));
          file[at] = below(3) ? static_cast<std::uint8_t>(random()) : static_cast<std::uint8_t>(below(2) ? 0xff : 0);
        }
    }
    // What lies behind the file must not be read: a vector of exactly its size lets the sanitizer see it.
    const Bytes exact(file.begin(), file.end());
    if (load(exact)) ++loaded;
  }
  CHECK(loaded > 0);
  CHECK(loaded < 6000);
}

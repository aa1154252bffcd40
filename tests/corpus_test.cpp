// File → pixels → another size, equal to Pillow to the byte: every mode of picture that is read, by every filter, at
// sizes that are odd, one pixel, smaller, larger or both.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>
#include <string>

#include "tests/support/codecs.hpp"
#include "tests/support/golden.hpp"
#include "vitrail/codecs.hpp"
#include "vitrail/preprocess.hpp"

using namespace vitrail;
using namespace vitrail::test;

namespace {

const std::filesystem::path kCorpus = goldens() / "corpus";

/// "40x5" → 40, 5.
std::pair<int, int> size_of(const std::string& text) {
  std::size_t used = 0;
  const int width = std::stoi(text, &used);
  return {width, std::stoi(text.substr(used + 1))};
}

std::vector<std::uint8_t> from_hex(const std::string& hex) {
  std::vector<std::uint8_t> bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes.push_back(static_cast<std::uint8_t>(std::stoul(hex.substr(i, 2), nullptr, 16)));
  return bytes;
}

/// Empty where `seen` is `golden`, the bytes themselves or, where there would be too many, their hash.
std::string difference(const std::vector<std::uint8_t>& seen, const std::string& golden) {
  const bool hashed = golden.size() != 2 * seen.size();
  if (hashed) {
    if (golden.size() == 16 && fnv1a64(seen.data(), seen.size()) == std::stoull(golden, nullptr, 16)) return {};
    return "another hash than Pillow's bytes (how far they are is known for smaller results only)";
  }
  const std::vector<std::uint8_t> expected = from_hex(golden);
  int wrong = 0, most = 0;
  for (std::size_t i = 0; i < seen.size(); ++i) {
    wrong += seen[i] != expected[i];
    most = std::max(most, std::abs(seen[i] - expected[i]));
  }
  if (wrong == 0) return {};
  return std::to_string(wrong) + " of " + std::to_string(seen.size()) + " bytes differ, by at most " +
         std::to_string(most);
}

}  // namespace

TEST_CASE("every mode of picture, resized by every filter, has Pillow's bytes") {
  const std::map<std::string, Resampling> filters = {
      {"nearest", Resampling::nearest}, {"box", Resampling::box},         {"bilinear", Resampling::bilinear},
      {"hamming", Resampling::hamming}, {"bicubic", Resampling::bicubic}, {"lanczos", Resampling::lanczos}};
  const auto corpus = nlohmann::json::parse(read_file(kCorpus / "corpus.json"));
  std::set<std::string> modes;
  int compared = 0;
  for (const auto& picture : corpus.at("pictures")) {
    const std::string file = picture.at("file");
    if (!has_codec(file)) continue;
    const auto image = load_image(kCorpus / file);
    REQUIRE_MESSAGE(image, (image ? "" : image.error().message));
    modes.insert(picture.at("mode").get<std::string>());
    for (const auto& [key, results] : picture.items()) {
      if (key == "file" || key == "mode") continue;
      const auto [width, height] = size_of(key);
      for (std::size_t i = 0; i < results.size(); ++i) {
        const std::string filter = corpus.at("filters").at(i);
        const auto resized = resize(image->view(), width, height, filters.at(filter));
        REQUIRE(resized);
        const std::string wrong = difference(packed_bytes(resized->view()), results.at(i).get<std::string>());
        CHECK_MESSAGE(wrong.empty(), file, " (", picture.at("mode"), ") to ", key, ", ", filter, ": ", wrong);
        ++compared;
      }
    }
  }
  CHECK(compared > (has_all_codecs ? 1500 : 50));
  if (!has_all_codecs) return;
  for (const char* mode : {"1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK"}) CHECK(modes.contains(mode));
}

TEST_CASE("a difference is described") {
  CHECK(difference({1, 2, 3}, "010203").empty());
  CHECK(difference({1, 9, 3}, "010203") == "1 of 3 bytes differ, by at most 7");
  CHECK(difference({1, 9, 3, 4}, "010203").starts_with("another hash"));
  CHECK(difference({1, 2, 3}, "d3a5e19ab22b3d0f").starts_with("another hash"));
}

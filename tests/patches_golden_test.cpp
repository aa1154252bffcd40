// torch.nn.functional.unfold and fold as the oracle of patchify and assemble.
#include <doctest/doctest.h>

#include "tests/support/golden.hpp"
#include "vitrail/patches.hpp"

using namespace vitrail;
using namespace vitrail::test;

namespace {

template <class T>
std::uint64_t hash(const std::vector<T>& values) {
  return fnv1a64(reinterpret_cast<const std::uint8_t*>(values.data()), values.size() * sizeof(T));
}

template <class T>
std::vector<T> patches_of(const PatchGrid& grid, const std::vector<std::uint8_t>& picture) {
  const std::vector<T> values(picture.begin(), picture.end());
  std::vector<T> patches(grid.size());
  const std::ptrdiff_t row = std::ptrdiff_t{grid.options().width} * grid.options().channels;
  patchify(grid, values.data(), row * static_cast<std::ptrdiff_t>(sizeof(T)), patches.data(), PatchOrder::chw);
  return patches;
}

template <class T>
std::vector<T> picture_of(const PatchGrid& grid, const std::vector<T>& patches) {
  const PatchGridOptions& o = grid.options();
  const std::ptrdiff_t row = std::ptrdiff_t{o.width} * o.channels;
  std::vector<T> picture(static_cast<std::size_t>(row * o.height), T(99));
  assemble(grid, patches.data(), picture.data(), row * static_cast<std::ptrdiff_t>(sizeof(T)), PatchOrder::chw);
  return picture;
}

}  // namespace

TEST_CASE("patches as torch unfolds them, pictures as torch folds them") {
  const auto file = nlohmann::json::parse(read_file(goldens() / "patches" / "cases.json"));
  for (const auto& c : file.at("cases")) {
    CAPTURE(c.dump());
    PatchGridOptions o;
    o.width = c.at("width");
    o.height = c.at("height");
    o.channels = c.at("channels");
    o.patch_height = c.at("patch")[0];
    o.patch_width = c.at("patch")[1];
    o.stride_y = c.at("stride")[0];
    o.stride_x = c.at("stride")[1];
    o.padding_y = c.at("padding")[0];
    o.padding_x = c.at("padding")[1];
    o.remainder = Remainder::crop;  // as torch does
    const PatchGrid grid = PatchGrid::make(o).value();
    CHECK(grid.count() == c.at("count"));
    CHECK(grid.patch_size() == c.at("patch_size"));
    const auto golden_hash = [&c](const char* key) { return std::stoull(c.at(key).get<std::string>(), nullptr, 16); };

    const auto picture = golden_picture("noise", o.width, o.height, o.channels);
    const auto bytes = patches_of<std::uint8_t>(grid, picture);
    const auto floats = patches_of<float>(grid, picture);
    CHECK(hash(bytes) == golden_hash("unfold_u8_fnv1a64"));
    CHECK(hash(floats) == golden_hash("unfold_f32_fnv1a64"));
    const auto folded = picture_of(grid, bytes);
    CHECK(hash(folded) == golden_hash("fold_of_unfold_u8_hwc_fnv1a64"));
    CHECK((picture_of(grid, floats) == std::vector<float>(folded.begin(), folded.end())));

    // Patches that disagree where they overlap.
    const auto other = golden_picture("noise", static_cast<int>(grid.patch_size()), grid.count(), 1, "patches");
    CHECK(hash(picture_of(grid, other)) == golden_hash("mean_u8_hwc_fnv1a64"));
    if (c.contains("mean_file")) {
      const auto mean = read_npy<float>(goldens() / "patches" / c.at("mean_file").get<std::string>());
      CHECK((picture_of(grid, std::vector<float>(other.begin(), other.end())) == mean.values));
    }
  }
}

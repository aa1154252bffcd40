// What do the demo network's pictures show? Road-sign-like pictograms in made-up scenes, drawn from a number.
//
// The same seed, label and size give the same bytes on every machine: only + − × ÷ and sqrt touch a float (no libm
// function, no std::…_distribution, no fused multiply-add), so a held-out set needs no files. The scene does not depend
// on the size, except for the sensor's grain, which is per pixel.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace vitrail::demo {

inline constexpr int class_count = 16;

/// The names of the classes, in label order; they are file-name-safe.
std::span<const std::string_view> labels();

/// Picture i of a set is draw_sign(set_seed + i, label_of(i), size). The sets never overlap.
inline constexpr std::uint64_t training_seed = 1'000'000'000;    ///< what train.py learns from
inline constexpr std::uint64_t validation_seed = 2'000'000'000;  ///< what difficulty and settings were chosen by
inline constexpr std::uint64_t held_out_seed = 3'000'000'000;    ///< what accuracy is reported on
inline constexpr std::uint64_t samples_seed = 4'000'000'000;     ///< models/demo/samples

constexpr int label_of(std::uint64_t i) { return static_cast<int>(i % class_count); }

/// Draws one scene with the sign `label` (0 … class_count − 1) in it: RGB8 [size, size, 3].
std::vector<std::uint8_t> draw_sign(std::uint64_t seed, int label, int size);

}  // namespace vitrail::demo

// The two inner loops of a resize. Each writes whole rows of u8, as Pillow does between its passes; or the first one
// leaves its sums as they are, s32 with resize_fraction_bits fraction bits, so that only the second one rounds.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/resize_filters.hpp"

namespace vitrail {

/// One row, horizontally: dst u8 [filter.size(), channels].
/// @param planes  i16 [channels, plane_pitch], samples 0 … 255; element 0 is source sample `filter.begin()`. Behind the
/// last
///                sample filter_block more elements must be readable (their weights are 0).
/// @param channels  1 or 3
void resize_row(const std::int16_t* planes, std::ptrdiff_t plane_pitch, int channels, const AxisFilter& filter,
                const SplitWeights& weights, std::uint8_t* dst) noexcept;
void resize_row(const std::int16_t* planes, std::ptrdiff_t plane_pitch, int channels, const AxisFilter& filter,
                const SplitWeights& weights, std::int32_t* dst) noexcept;

/// One row, vertically: dst[x] = Σ weights[k] · rows[k][x] for x in 0 … row_bytes − 1.
void blend_rows(const std::uint8_t* const* rows, const std::int32_t* weights, int count, std::uint8_t* dst,
                std::size_t row_bytes) noexcept;
/// The same of unrounded rows of `row_samples` sums.
void blend_rows(const std::int32_t* const* rows, const std::int32_t* weights, int count, std::uint8_t* dst,
                std::size_t row_samples) noexcept;

}  // namespace vitrail

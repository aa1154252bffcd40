// The two inner loops of a resize. Each writes whole rows of u8, as Pillow does between its passes.
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

/// One row, vertically: dst[x] = Σ weights[k] · rows[k][x] for x in 0 … row_bytes − 1.
void blend_rows(const std::uint8_t* const* rows, const std::int32_t* weights, int count, std::uint8_t* dst,
                std::size_t row_bytes) noexcept;

}  // namespace vitrail

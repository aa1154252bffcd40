// From one PixelFormat to another, a row at a time.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/kernels.hpp"
#include "vitrail/image.hpp"

namespace vitrail {

/// src u8 [width, bytes_per_pixel(from)] → dst u8 [width, bytes_per_pixel(to)]; `to` is rgb8 or gray8. Alpha is
/// ignored. Colour → gray is Pillow's convert("L"): (19595 R + 38470 G + 7471 B + 2^15) >> 16. Gray → colour repeats
/// the sample. src and dst do not overlap.
void convert_row(const std::uint8_t* src, PixelFormat from, std::uint8_t* dst, PixelFormat to, int width) noexcept;

/// The same pixels as one plane per channel: dst s16 [bytes_per_pixel(to), plane_pitch], of which `width` elements per
/// plane are written. `to` is rgb8 or gray8; gray8 → rgb8 is not provided. Why 16 bits: the resize multiplies them with
/// 16-bit halves of its weights.
void split_row(const Kernels& kernels, const std::uint8_t* src, PixelFormat from, std::int16_t* dst,
               std::ptrdiff_t plane_pitch, PixelFormat to, int width) noexcept;

}  // namespace vitrail

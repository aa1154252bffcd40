// Puts the sixteen-lane kernels of one architecture into the table.
#pragma once

#include "platforms/simd/attention.hpp"
#include "platforms/simd/bytes.hpp"
#include "platforms/simd/pack_s8.hpp"
#include "platforms/simd/products.hpp"
#include "platforms/simd/resize.hpp"
#include "platforms/simd/rows.hpp"

namespace vitrail::simd {

/// @tparam Arch      an xsimd architecture
/// @tparam f32_rows  rows of the f32 product whose accumulators fit the registers
template <class Arch, int f32_rows>
void install(Kernels& k, const char* name) {
  k.copy_runs = copy_runs<Arch>;
  k.split_pixels = split_pixels<Arch>;
  k.resize_row = resize_row<Arch>;
  k.blend_rows = blend_rows<Arch>;
  k.layer_norm = layer_norm<Arch>;
  k.quantize_rows = quantize_rows<Arch>;
  k.layer_norm_quantize = layer_norm_quantize<Arch>;
  k.activate_quantize = activate_quantize<Arch>;
  k.softmax = softmax<Arch>;
  k.swiglu = swiglu<Arch>;
  k.rotate = rotate<Arch>;
  k.gemm_f32 = gemm_f32<Arch, f32_rows>;
  k.finish_s32 = finish_s32<Arch>;
  k.finish_f32 = finish_f32<Arch>;
  k.pack_rows_s8 = pack_rows_s8<Arch>;
  k.pack_columns_s8 = pack_columns_s8<Arch>;
  k.softmax_quantize = softmax_quantize<Arch>;
  k.peak_f32 = peak_f32<Arch, f32_rows>;
  k.simd_name = name;
}

}  // namespace vitrail::simd

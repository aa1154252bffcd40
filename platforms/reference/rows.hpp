// Internal to the reference: the functions behind the table's entries (contracts: runtime/kernels.hpp).
#pragma once

#include "platforms/reference/reference.hpp"

namespace vitrail::reference {

/// The row sum of the contract.
float row_sum(const float* x, int count);

void layer_norm(const float* x, std::size_t ldx, int rows, int k, const float* gamma, const float* beta, float eps,
                float* dst, std::size_t ld_dst);
void quantize_rows(const float* x, std::size_t ldx, int rows, int k, std::uint8_t* q, std::size_t ldq_bytes,
                   RowQuant* quant);
void layer_norm_quantize(const float* x, std::size_t ldx, int rows, int k, const float* gamma, const float* beta,
                         float eps, float* row, std::uint8_t* q, std::size_t ldq_bytes, RowQuant* quant);
void activate_quantize(const float* x, std::size_t ldx, int rows, int k, Activation activation, float* row,
                       std::uint8_t* q, std::size_t ldq_bytes, RowQuant* quant);
void softmax(float* x, std::size_t ldx, int rows, int cols, float scale);
void swiglu(const float* x, std::size_t ldx, int rows, int k, float* dst, std::size_t ld_dst);
void rotate(float* x, std::size_t ldx, int rows, int heads, int half, const float* cos, const float* sin);
void split_pixels(const std::uint8_t* src, int pixel_bytes, int width, Planes dst);
void resize_row(const std::int16_t* planes, std::ptrdiff_t plane_pitch, int channels, const AxisFilter& filter,
                const SplitWeights& weights, std::int32_t* sums);
void blend_rows(const std::uint8_t* const* rows, const std::int32_t* weights, int count, std::uint8_t* dst,
                std::size_t row_bytes);
void pack_transposed_f32(const float* src, std::size_t ld_src, int n, int k, float* dst);
void pack_f32(const float* src, std::size_t ld_src, int k, int n, float* dst);
void pack_rows_s8(const float* src, std::size_t ld_src, int n, int k, LayoutS8 layout, std::int8_t* dst, float* scale,
                  std::int32_t* sum);
void pack_columns_s8(const float* src, std::size_t ld_src, int k, int n, LayoutS8 layout, std::int8_t* dst,
                     float* scale, std::int32_t* sum);
void softmax_quantize(std::int32_t* acc, std::size_t ldacc, int rows, int cols, const Dequant& dequant, float scale,
                      float* row, std::uint8_t* p, std::size_t ldp_bytes, RowQuant* quant);

}  // namespace vitrail::reference

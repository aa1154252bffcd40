// Multi-head self-attention in both arithmetics. Memory grows with T, not with T²: scores exist for one block of
// queries per thread.
#include <algorithm>

#include "runtime/engine.hpp"

namespace vitrail {
namespace {

/// Int8: one head's keys and values in the place of weights.
struct HeadS8 {
  PackedS8 matrix;
  std::int8_t* data;
  float* scale;       ///< per output channel
  std::int32_t* sum;  ///< per output channel

  HeadS8(Layout& layout, int n, int k) : matrix{nullptr, n, k} {
    const auto columns = static_cast<std::size_t>(matrix.panels()) * PackedS8::panel;
    data = layout.take<std::int8_t>(columns * static_cast<std::size_t>(matrix.k_padded()));
    scale = layout.take<float>(columns);
    sum = layout.take<std::int32_t>(columns);
    matrix.data = data;
  }
};

struct KeysAndValuesS8 {
  HeadS8 keys, values;
  KeysAndValuesS8(Layout layout, const Heads& h)
      : keys(layout, h.tokens, h.head_dim), values(layout, h.head_dim, h.tokens) {
    bytes = layout.size_bytes();
  }
  std::size_t bytes;
};

/// f32: the same, [head_dim, T] and [T, head_dim] in panels.
struct KeysAndValuesF32 {
  float *keys, *values;
  KeysAndValuesF32(Layout layout, const Heads& h) {
    const auto tokens = static_cast<std::size_t>(h.tokens), dim = static_cast<std::size_t>(h.head_dim);
    keys = layout.take<float>(align_up(tokens, PackedF32::panel) * dim);
    values = layout.take<float>(tokens * align_up(dim, PackedF32::panel));
    bytes = layout.size_bytes();
  }
  std::size_t bytes;
};

template <class KeysAndValues>
KeysAndValues head(std::byte* packed_heads, const Heads& h, int index) {
  const std::size_t bytes = KeysAndValues(Layout(nullptr), h).bytes;
  return KeysAndValues(Layout(packed_heads + static_cast<std::size_t>(index) * bytes), h);
}

/// Into the second cache.
void prefetch(const std::byte* data, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; i += 64) __builtin_prefetch(data + i, 0, 2);
}

}  // namespace

std::uint64_t Engine::packed_heads_bytes() const {
  const auto bytes = [](const Heads& h) {
    const std::size_t one =
        h.dtype == DType::int8 ? KeysAndValuesS8(Layout(nullptr), h).bytes : KeysAndValuesF32(Layout(nullptr), h).bytes;
    return std::uint64_t{one} * static_cast<std::uint64_t>(h.count);
  };
  return std::max(bytes(heads_), class_queries_ > 0 ? bytes(class_heads()) : 0);
}

void Engine::place_attention(Layout& layout, AttentionScratch& s) const {
  const auto tokens = static_cast<std::size_t>(heads_.tokens), dim = static_cast<std::size_t>(heads_.head_dim);
  // A block of queries is a tile's rows: scores stay in the cache.
  const auto query_block = static_cast<std::size_t>(kernels_.gemm_tile.max_rows);
  if (heads_.dtype == DType::int8) {
    const auto of_class = std::min(query_block, static_cast<std::size_t>(class_queries_)),
               whole = static_cast<std::size_t>(embed_dim_);
    s.scores = layout.take<float>(3 * align_up(tokens));
    s.acc = layout.take<std::int32_t>(
        std::max(query_block * std::max(align_up(tokens), align_up(dim)), of_class * align_up(whole)));
    s.q = layout.take<std::uint8_t>(std::max(query_block * align_up(dim), of_class * align_up(whole)));
    s.p = layout.take<std::uint8_t>(query_block * align_up(tokens));
    s.quant = layout.take<RowQuant>(query_block);
  } else {
    s.scores = layout.take<float>(query_block * align_up(tokens, PackedF32::panel));
    s.context = layout.take<float>(query_block * align_up(dim, PackedF32::panel));
  }
}

void Engine::attention(float* queries, std::size_t ld_queries, int count, const float* keys, const float* values,
                       std::size_t ld_keys, std::byte* packed_heads, const RelativeBias* bias, float* maps,
                       const RowOperation& after) {
  if (profile_.on() && after) {
    attention(queries, ld_queries, count, keys, values, ld_keys, packed_heads, bias, maps);
    return apply(after);
  }
  const auto tokens = static_cast<std::uint64_t>(heads_.tokens), rows = static_cast<std::uint64_t>(count),
             width = static_cast<std::uint64_t>(heads_.count) * static_cast<std::uint64_t>(heads_.head_dim);
  const bool int8 = heads_.dtype == DType::int8;
  const Profile::Timed timed(profile_, "attention", int8 ? kernels_.gemm_name : kernels_.simd_name,
                             2 * rows * tokens * width, 2 * (rows + tokens) * width * sizeof(float));
  const Attended attended{queries, keys, values, ld_queries, ld_keys, count, packed_heads, bias, maps, after};
  int8 ? attend_int8(attended) : attend_f32(attended);
}

template <class Function>
void Engine::each_matrix(const Function& pack) {
  row_tasks_.run(executor_, {2 * heads_.count, 1, 1, threads()}, 1,
                 [&](RowBlocks::Rows rows, int, int) { pack(rows.first / 2, rows.first % 2 == 0); });
}

void Engine::attend_int8(const Attended& a) {
  const int tokens = heads_.tokens, dim = heads_.head_dim;
  const auto D = static_cast<std::size_t>(dim);
  const float scale = heads_.scale;

  each_matrix([&](int index, bool of_keys) {
    const auto [keys, values, bytes] = head<KeysAndValuesS8>(a.packed_heads, heads_, index);
    const std::size_t column = static_cast<std::size_t>(index) * D;
    if (of_keys)
      kernels_.pack_rows_s8(a.keys + column, a.ld_keys, tokens, dim, kernels_.layout_s8, keys.data, keys.scale,
                            keys.sum);
    else
      kernels_.pack_columns_s8(a.values + column, a.ld_keys, tokens, dim, kernels_.layout_s8, values.data, values.scale,
                               values.sum);
  });

  const auto task = [&](const RowBlocks::Rows& block, int index, int thread) {
    const Scratch& scratch = scratch_[static_cast<std::size_t>(thread)];
    const AttentionScratch& s = scratch.attention;
    const auto [keys, values, bytes] = head<KeysAndValuesS8>(a.packed_heads, heads_, index);
    const int first = block.first, rows = block.count;
    const auto row = static_cast<std::size_t>(first);
    const std::size_t column = static_cast<std::size_t>(index) * D;
    const std::byte* packed = a.packed_heads + static_cast<std::size_t>(index) * bytes;
    if (index == 0 && block.turn == 0) prefetch(packed, bytes);
    /// Half of the next head, block by block.
    const auto ahead = [&, bytes = bytes](int half) -> GemmU8S8Tile::Ahead {
      if (index + 1 == heads_.count) return {};
      const std::size_t part = align_up(bytes / 2 / static_cast<std::size_t>(block.turns));
      return {reinterpret_cast<const std::int8_t*>(packed + bytes + static_cast<std::size_t>(half) * bytes / 2 +
                                                   static_cast<std::size_t>(block.turn) * part),
              part};
    };
    const std::size_t ldq = align_up(D), ldp = align_up(static_cast<std::size_t>(tokens));
    /// The product's tiles, as tile(GemmU8S8Tile, first column).
    const auto multiply = [&](const std::uint8_t* u8, std::size_t lda, const HeadS8& head, GemmU8S8Tile::Ahead ahead,
                              auto tile) {
      const PackedS8& b = head.matrix;
      for (int n = 0; n < b.n; n += Kernels::max_tile_cols)
        tile({.a = u8,
              .lda_bytes = lda,
              .rows = rows,
              .b = b.at_panel(n / PackedS8::panel),
              .b_sum = head.sum + n,
              .cols = std::min(Kernels::max_tile_cols, b.n - n),
              .k = b.k,
              .k_padded = b.k_padded(),
              .acc = s.acc + n,
              .ldacc = align_up(static_cast<std::size_t>(b.n)),
              .scratch = scratch.gemm,
              .ahead = n == 0 ? ahead : GemmU8S8Tile::Ahead{}},
             n);
    };
    float* const queries = a.queries + row * a.ld_queries + column;
    kernels_.quantize_rows(queries, a.ld_queries, rows, dim, s.q, ldq, s.quant);  // q [rows, head_dim]
    multiply(s.q, ldq, keys, ahead(0),
             [&](const GemmU8S8Tile& tile, int) { kernels_.gemm_u8s8(tile); });  // acc [rows, T]
    kernels_.softmax_quantize(s.acc, ldp, rows, tokens, {s.quant, keys.scale, keys.sum, dim}, scale, s.scores, s.p, ldp,
                              s.quant);  // p [rows, T]
    for (int m = 0; a.maps && m < rows; ++m) {
      float* map = a.map_row(index, first + m, tokens);
      const std::uint8_t* p = s.p + static_cast<std::size_t>(m) * ldp;
      for (int t = 0; t < tokens; ++t) map[t] = static_cast<float>(p[t] - s.quant[m].zero_point) * s.quant[m].scale;
    }
    multiply(s.p, ldp, values, ahead(1), [&](const GemmU8S8Tile& tile, int n) {  // queries [rows, head_dim]
      kernels_.linear_u8s8(tile, {s.quant, values.scale + n, values.sum + n, tokens}, {}, queries + n, a.ld_queries);
    });
  };
  run_tasks(blocks_of(a.count), heads_.count, task, a.after);
}

void Engine::attend_f32(const Attended& a) {
  const int tokens = heads_.tokens, dim = heads_.head_dim;
  const auto D = static_cast<std::size_t>(dim);
  const int token_panels = ceil_div(tokens, PackedF32::panel), dim_panels = ceil_div(dim, PackedF32::panel);
  const std::size_t ld_scores = static_cast<std::size_t>(token_panels) * PackedF32::panel;
  const std::size_t ld_context = static_cast<std::size_t>(dim_panels) * PackedF32::panel;
  const float scale = heads_.scale;

  each_matrix([&](int index, bool of_keys) {
    const auto packed = head<KeysAndValuesF32>(a.packed_heads, heads_, index);
    const std::size_t column = static_cast<std::size_t>(index) * D;
    if (of_keys)
      kernels_.pack_transposed_f32(a.keys + column, a.ld_keys, tokens, dim, packed.keys);
    else
      kernels_.pack_f32(a.values + column, a.ld_keys, tokens, dim, packed.values);
  });

  const auto task = [&](const RowBlocks::Rows& block, int index, int thread) {
    const AttentionScratch& s = scratch_[static_cast<std::size_t>(thread)].attention;
    const auto packed = head<KeysAndValuesF32>(a.packed_heads, heads_, index);
    const int first = block.first, rows = block.count;
    const auto row = static_cast<std::size_t>(first);
    const std::size_t column = static_cast<std::size_t>(index) * D;
    float* const queries = a.queries + row * a.ld_queries + column;
    kernels_.gemm_f32(queries, a.ld_queries, rows, packed.keys, dim, token_panels, s.scores, ld_scores);  // [rows, T]
    for (int m = 0; a.bias && m < rows; ++m)
      a.bias->add(index, first + m, s.scores + static_cast<std::size_t>(m) * ld_scores);
    kernels_.softmax(s.scores, ld_scores, rows, tokens, scale);  // [rows, T]
    for (int m = 0; a.maps && m < rows; ++m)
      std::copy_n(s.scores + static_cast<std::size_t>(m) * ld_scores, tokens, a.map_row(index, first + m, tokens));
    kernels_.gemm_f32(s.scores, ld_scores, rows, packed.values, tokens, dim_panels, s.context,
                      ld_context);  // [rows, head_dim]
    for (int m = 0; m < rows; ++m)
      std::copy_n(s.context + static_cast<std::size_t>(m) * ld_context, dim,
                  queries + static_cast<std::size_t>(m) * a.ld_queries);
  };
  run_tasks(blocks_of(a.count), heads_.count, task, a.after);
}

}  // namespace vitrail

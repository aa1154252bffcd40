// Engine's attention of one learned query over the tokens of a picture (SigLIP's pooling head).
#include <algorithm>
#include <cmath>

#include "runtime/engine.hpp"

namespace vitrail {

void Engine::attend(const VitConfig& c, const float* query, const float* key_value, float* keys, float* values,
                    float* out) {
  const int tokens = c.num_tokens(), dim = c.head_dim(), heads = c.num_heads;
  const auto width = static_cast<std::size_t>(c.embed_dim), ld = 2 * width;
  const std::size_t head_floats = attention_floats(c) / static_cast<std::size_t>(heads);
  const auto panels = [](int n) { return (n + PackedF32::panel - 1) / PackedF32::panel; };
  const float scale = 1.0f / std::sqrt(static_cast<float>(dim));
  pool_.run(heads, [&](int task, int thread) {
    const Scratch& s = scratch_[static_cast<std::size_t>(thread)];
    const auto head = static_cast<std::size_t>(task), column = head * static_cast<std::size_t>(dim);
    float *k = keys + head * head_floats, *v = values + head * head_floats;
    kernels_.pack_transposed_f32(key_value + column, ld, tokens, dim, k);
    kernels_.pack_f32(key_value + width + column, ld, tokens, dim, v);
    const std::size_t ld_scores = align_up(static_cast<std::size_t>(tokens), PackedF32::panel);
    kernels_.gemm_f32(query + column, width, 1, k, dim, panels(tokens), s.scores, ld_scores);  // [1, T]
    kernels_.softmax(s.scores, ld_scores, 1, tokens, scale);                                   // [1, T]
    kernels_.gemm_f32(s.scores, ld_scores, 1, v, tokens, panels(dim), s.context,
                      align_up(static_cast<std::size_t>(dim), PackedF32::panel));  // [1, head_dim]
    std::copy_n(s.context, dim, out + column);
  });
}

}  // namespace vitrail

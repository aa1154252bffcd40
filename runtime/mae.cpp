#include "runtime/mae.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "runtime/argument_error.hpp"

namespace vitrail {
namespace {

/// A patch of raw pixels as the network is trained to predict it: mean and deviation of its normalised values.
struct PatchScale {
  double mean = 0, deviation = 1;
};

PatchScale patch_scale(const PreprocessConfig& p, int channels, const std::uint8_t* pixels, std::size_t count) {
  const auto value = [&](std::size_t i) {
    const auto c = i % static_cast<std::size_t>(channels);
    return (pixels[i] * p.rescale - p.mean[c]) / p.std[c];
  };
  double sum = 0, squares = 0;
  for (std::size_t i = 0; i < count; ++i) sum += value(i);
  const double mean = sum / static_cast<double>(count);
  for (std::size_t i = 0; i < count; ++i) squares += (value(i) - mean) * (value(i) - mean);
  return {mean, std::sqrt(squares / static_cast<double>(count - 1) + 1e-6)};  // as transformers: torch.var is unbiased
}

}  // namespace

void predict_patches(Engine& e, const Weights& w, const Plan& plan, State& s, const Pixels& picture,
                     const std::uint8_t* mask) {
  const VitConfig &c = plan.config, &dc = plan.decoder->config;
  const Decoder& decoder = *w.decoder;
  const auto D = static_cast<std::size_t>(c.embed_dim), DD = static_cast<std::size_t>(dc.embed_dim);
  const int patches = c.num_patches();

  embed(e, w, plan, s, picture, 0);  // x [1 + N, D]
  std::size_t seen = 1;
  for (int i = 0; i < patches; ++i)  // attention knows no order, so those that are seen stay in theirs
    if (!mask[i]) std::copy_n(s.x + static_cast<std::size_t>(1 + i) * D, D, s.x + seen++ * D);
  const int tokens = static_cast<int>(seen);                                                     // S
  for (const Block& block : w.blocks) transform(e, w.dtype, plan, block, s, 1, tokens, tokens);  // x [S, D]
  Rows a = rows_of(s, w.dtype, tokens, c.embed_dim, s.rows);
  e.norm(s.x, *w.norm, c.layer_norm_eps, a);  // a [S, D]
  e.linear("decoder_embed", a, decoder.embed, Activation::none, nullptr, 0, s.qkv,
           DD);  // S rows of DD, in room that is free

  const float *from = s.qkv + DD, *position = plan.decoder->positions;
  for (std::size_t d = 0; d < DD; ++d) s.x[d] = s.qkv[d] + decoder.positions[d];
  for (std::size_t i = 0; i < static_cast<std::size_t>(patches); ++i, position += DD) {
    const float* token = mask[i] ? decoder.mask_token : std::exchange(from, from + DD);
    for (std::size_t d = 0; d < DD; ++d) s.x[(1 + i) * DD + d] = token[d] + position[d];
  }
  for (const Block& block : decoder.blocks)
    transform(e, w.dtype, *plan.decoder, block, s, 1, 1 + patches, 1 + patches);  // x [1 + N, DD]
  a = rows_of(s, w.dtype, patches, dc.embed_dim, s.rows);
  e.norm(s.x + DD, decoder.norm, dc.layer_norm_eps, a);  // a [N, DD]: without CLS
  e.linear("decoder_pixels", a, decoder.pixels, Activation::none, nullptr, 0, s.predictions,
           static_cast<std::size_t>(c.patch_size()));  // predictions [N, P·P·C]
}

void predicted_pixels(const Plan& plan, State& s, const Pixels& picture, const std::uint8_t* mask) {
  const VitConfig& c = plan.config;
  const PreprocessConfig& p = c.preprocess;
  const PatchGrid& grid = *plan.grid;
  const std::size_t size = grid.patch_size();
  const std::ptrdiff_t stride = static_cast<std::ptrdiff_t>(c.image_width) * c.channels;

  patchify(grid, picture.data, picture.stride_bytes, s.pixel_patches);
  const auto predict = [&](std::size_t i) {
    std::uint8_t* pixels = s.pixel_patches + i * size;
    const PatchScale scale = c.decoder->norm_pix_loss ? patch_scale(p, c.channels, pixels, size) : PatchScale();
    for (std::size_t k = 0; k < size; ++k) {
      const auto channel = k % static_cast<std::size_t>(c.channels);
      const double value = s.predictions[i * size + k] * scale.deviation + scale.mean;
      const double pixel = std::floor((value * p.std[channel] + p.mean[channel]) / p.rescale + 0.5);
      pixels[k] = static_cast<std::uint8_t>(pixel > 0 ? std::min(pixel, 255.0) : 0);  // NaN is 0, too
    }
  };
  const auto count = static_cast<std::size_t>(grid.count());
  for (std::size_t i = 0; i < count; ++i)
    if (mask[i]) predict(i);
  assemble(grid, s.pixel_patches, s.whole, stride);
  for (std::size_t i = 0; i < count; ++i)
    if (!mask[i]) predict(i);
  assemble(grid, s.pixel_patches, s.predicted, stride);
}

Result<Masking> random_masking(std::span<const float> noise, double mask_ratio) {
  if (!(mask_ratio >= 0 && mask_ratio <= 1)) return argument_error("mask_ratio", std::to_string(mask_ratio), "0 to 1");
  for (std::size_t i = 0; i < noise.size(); ++i)
    if (std::isnan(noise[i]))
      return Error{ErrorCode::invalid_argument, "noise: element " + std::to_string(i) + " is NaN"};
  std::vector<std::size_t> shuffle(noise.size());
  std::iota(shuffle.begin(), shuffle.end(), std::size_t{0});
  std::stable_sort(shuffle.begin(), shuffle.end(), [&](std::size_t a, std::size_t b) { return noise[a] < noise[b]; });
  const auto seen = static_cast<std::size_t>(static_cast<double>(noise.size()) * (1 - mask_ratio));
  Masking out{std::vector<std::uint8_t>(noise.size()), std::vector<int>(noise.size())};
  for (std::size_t rank = 0; rank < shuffle.size(); ++rank) {
    out.mask[shuffle[rank]] = rank >= seen;
    out.ids_restore[shuffle[rank]] = static_cast<int>(rank);
  }
  return out;
}

}  // namespace vitrail

// The decoder of a masked autoencoder (He et al. 2021): patches that were hidden, from those that were seen.
#pragma once

#include "runtime/vit.hpp"

namespace vitrail {

/// s.predictions [N, P·P·C] of one picture of which only the patches with mask[i] == 0 are seen. Allocates nothing.
void predict_patches(Engine& e, const Weights& w, const Plan& plan, State& s, const Pixels& picture,
                     const std::uint8_t* mask);

/// s.predicted and s.whole [H, W, C] from s.predictions: what the network's arithmetic makes of pixels, undone.
void predicted_pixels(const Plan& plan, State& s, const Pixels& picture, const std::uint8_t* mask);

}  // namespace vitrail

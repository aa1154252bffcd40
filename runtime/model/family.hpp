// The families of Hugging Face folders. A family reads its flags into one VitConfig and puts its tensors where the one
// encoder expects them; nothing after loading knows which family a network came from.
#pragma once

#include <initializer_list>

#include "runtime/model/config.hpp"
#include "runtime/model/tensor_set.hpp"

namespace vitrail {

struct Family {
  std::string_view model_type;  ///< config.json's
  HuggingFaceConfig (*config)(const Fields&);
  NetworkSource (*network)(HuggingFaceConfig, TensorSet&);
};

/// The family config.json names; null (and an error with the list of all) when it is not run.
const Family* find_family(const Fields& config);

// vit.cpp: ViT, DeiT, and what differs from ViT by flags: ViT-MSN, I-JEPA, ViT-MAE with its decoder.
HuggingFaceConfig vit_config(const Fields& config);
NetworkSource vit_network(HuggingFaceConfig config, TensorSet& tensors);
// dinov2.cpp: with and without registers.
HuggingFaceConfig dinov2_config(const Fields& config);
NetworkSource dinov2_network(HuggingFaceConfig config, TensorSet& tensors);
// dinov3.cpp
HuggingFaceConfig dinov3_config(const Fields& config);
NetworkSource dinov3_network(HuggingFaceConfig config, TensorSet& tensors);
// clip.cpp: the vision towers of CLIP and SigLIP, alone or inside the whole network.
HuggingFaceConfig clip_config(const Fields& config);
NetworkSource clip_network(HuggingFaceConfig config, TensorSet& tensors);
// beit.cpp: BEiT and data2vec-vision.
HuggingFaceConfig beit_config(const Fields& config);
NetworkSource beit_network(HuggingFaceConfig config, TensorSet& tensors);

// ---- What the families share.

/// Refuses keys that mean other arithmetic at another value than the neutral one, but for those the family reads.
void check_neutral(const Fields& config, std::initializer_list<std::string_view> read_by_family);

/// Sizes every family names alike. @param square  image_size and patch_size are single integers
void read_sizes(const Fields& config, VitConfig& vit, int hidden, int layers, int heads, int patch, bool square);

Activation read_activation(const Fields& config, const char* fallback);

/// "architectures" as an index into `names`, or −1 where the file does not say.
int read_class(const Fields& config, std::initializer_list<std::string_view> names);

/// num_labels and their names.
void read_classes(const Fields& config, VitConfig& vit);

}  // namespace vitrail

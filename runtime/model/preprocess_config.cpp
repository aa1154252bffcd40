// preprocessor_config.json (Hugging Face) and pretrained_cfg (timm) → PreprocessConfig. Whatever would change pixels in
// a way that is not run is refused: an embedding of other pixels is a wrong answer that looks like a right one.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "runtime/argument_error.hpp"
#include "runtime/model/config.hpp"

namespace vitrail {
namespace {

using namespace std::string_view_literals;

constexpr double largest_mean = 1e4, smallest_std = 1e-6, largest_std = 1e6;

/// One number for all channels, or an array with one for each.
std::array<double, 4> per_channel(const Fields& fields, std::string_view key, int channels, double min, double max,
                                  std::optional<std::array<double, 3>> fallback) {
  std::array<double, 4> out{};
  const Json* value = fields.find(key);
  auto fits = [&](const Json& n) { return n.is_number() && n.get<double>() >= min && n.get<double>() <= max; };
  if (!value && fallback) {
    std::copy(fallback->begin(), fallback->end(), out.begin());
  } else if (value && fits(*value)) {
    out.fill(value->get<double>());
  } else if (value && value->is_array() && value->size() == static_cast<std::size_t>(channels) &&
             std::all_of(value->begin(), value->end(), fits)) {
    for (std::size_t i = 0; i < value->size(); ++i) out[i] = (*value)[i].get<double>();
  } else {
    fields.fail(key, std::to_string(channels) + (channels == 1 ? " number from " : " numbers from ") +
                         number_text(min) + " to " + number_text(max));
  }
  for (std::size_t i = static_cast<std::size_t>(channels); i < out.size(); ++i) out[i] = min > 0 ? 1 : 0;
  return out;
}

using Resize = PreprocessConfig::Resize;

struct Size {
  int height = 0, width = 0;
  Resize rule = Resize::exact;  ///< shortest_edge: height is the length of the shorter side
  int longest_edge = 0;         ///< only with shortest_edge; 0: no limit
};

/// An integer, {"height", "width"}, {"max_height", "max_width"} or {"shortest_edge"}, the last perhaps with a limit,
/// {"longest_edge"}.
Size read_size(const Fields& fields, std::string_view key, Size fallback, bool integer_is_shortest_edge) {
  const Json* value = fields.find(key);
  if (!value) return fallback;
  if (!value->is_object()) {
    int n = fields.integer(key, 1, limits::image);
    return {n, n, integer_is_shortest_edge ? Resize::shortest_edge : Resize::exact};
  }
  Fields size = fields.object(key);
  std::vector<std::string> given;  // in alphabetical order
  for (const auto& name : size.keys())
    if (size.has(name)) given.push_back(name);
  if (given == std::vector<std::string>{"height", "width"})
    return {size.integer("height", 1, limits::image), size.integer("width", 1, limits::image)};
  if (given == std::vector<std::string>{"max_height", "max_width"})
    return {size.integer("max_height", 1, limits::image), size.integer("max_width", 1, limits::image),
            Resize::contain_truncated};
  if (given == std::vector<std::string>{"shortest_edge"}) {
    int n = size.integer("shortest_edge", 1, limits::image);
    return {n, n, Resize::shortest_edge};
  }
  if (given == std::vector<std::string>{"longest_edge", "shortest_edge"}) {
    int n = size.integer("shortest_edge", 1, limits::image);
    return {n, n, Resize::shortest_edge, size.integer("longest_edge", 1, limits::image)};
  }
  fields.fail_file(fields.name(key) + ": found " +
                       value->dump(-1, ' ', true, Json::error_handler_t::replace).substr(0, 100) +
                       (given == std::vector<std::string>{"longest_edge"}
                            ? ", which transformers' own image processors accept and then fail to run"
                            : "") +
                       ", expected an integer, {height, width}, {shortest_edge}, {shortest_edge, longest_edge} or "
                       "{max_height, max_width}",
                   ErrorCode::unsupported);
  return fallback;
}

bool depends_on_picture(Resize rule) { return rule != Resize::none && rule != Resize::exact; }

constexpr Resampling by_number[] = {Resampling::nearest, Resampling::lanczos, Resampling::bilinear,  // PIL's numbers
                                    Resampling::bicubic, Resampling::box,     Resampling::hamming};

Resampling read_resample(const Fields& fields, Resampling fallback, ResizeBackend backend) {
  if (!fields.has("resample")) return fallback;
  const int code = fields.integer("resample", 0, 5, 2);
  const Resampling filter = by_number[code];
  if (backend == ResizeBackend::torchvision && (filter == Resampling::box || filter == Resampling::hamming))
    fields.fail_file(fields.name("resample") + ": found " + std::to_string(code) +
                         (filter == Resampling::box ? " (box)" : " (hamming)") +
                         ", expected 0 (nearest), 1 (lanczos), 2 (bilinear) or 3 (bicubic): torchvision has no other",
                     ErrorCode::unsupported);
  return filter;
}

/// What a transformers image processor does where its file says nothing.
struct Defaults {
  const char* name;  ///< of the class, without Fast, Pil, ImageProcessor, FeatureExtractor
  Size size;
  int crop;  ///< 0: no crop
  Resampling resample;
  bool integer_is_shortest_edge;
  std::array<double, 3> mean, std;
};

constexpr std::array<double, 3> half = {0.5, 0.5, 0.5};
constexpr std::array<double, 3> clip_mean = {0.48145466, 0.4578275, 0.40821073};
constexpr std::array<double, 3> clip_std = {0.26862954, 0.26130258, 0.27577711};

constexpr std::array<double, 3> imagenet_mean = {0.485, 0.456, 0.406};
constexpr std::array<double, 3> imagenet_std = {0.229, 0.224, 0.225};

constexpr Defaults processors[] = {
    {"ViT", {224, 224}, 0, Resampling::bilinear, false, half, half},
    {"DeiT", {256, 256}, 224, Resampling::bicubic, false, half, half},
    {"CLIP", {224, 224, Resize::shortest_edge}, 224, Resampling::bicubic, true, clip_mean, clip_std},
    {"DINOv3ViT", {224, 224}, 0, Resampling::bilinear, false, imagenet_mean, imagenet_std},
    {"Siglip", {224, 224}, 0, Resampling::bicubic, false, half, half},
    {"Bit", {224, 224, Resize::shortest_edge}, 224, Resampling::bicubic, true, clip_mean, clip_std},
    {"Beit", {224, 224}, 0, Resampling::bicubic, false, half, half},
};

/// @param backend  becomes the one that the class of the processor uses
const Defaults& processor_defaults(const Fields& fields, const VitConfig& config, ResizeBackend& backend) {
  const Defaults& of_family = processors[config.family == "deit"               ? 1
                                         : config.family.starts_with("clip")   ? 2
                                         : config.family.starts_with("siglip") ? 4
                                         : config.family == "dinov3_vit"       ? 3
                                         : config.family == "beit"             ? 6
                                         : config.family == "data2vec-vision"  ? 6
                                                                               : 0];
  if (fields.boolean("use_fast", false)) backend = ResizeBackend::torchvision;
  const char* key = fields.has("image_processor_type") ? "image_processor_type" : "feature_extractor_type";
  if (!fields.has(key)) return of_family;
  std::string type = fields.text(key);
  for (const Defaults& processor : processors)
    for (auto suffix : {"ImageProcessor", "ImageProcessorFast", "ImageProcessorPil", "FeatureExtractor"})
      if (type == processor.name + std::string(suffix)) {
        // Without Fast or Pil both have existed: files say which one by use_fast, or were written by the slow one.
        if (suffix == "ImageProcessorFast"sv) backend = ResizeBackend::torchvision;
        if (suffix == "ImageProcessorPil"sv) backend = ResizeBackend::pillow;
        return processor;
      }
  fields.fail(
      key,
      "ViT, DeiT, CLIP, DINOv3ViT, Siglip, Bit or Beit followed by ImageProcessor (others prepare pictures in ways "
      "that are not run)",
      ErrorCode::unsupported);
  return of_family;
}

void check_keys(const Fields& fields) {
  constexpr std::string_view used_or_harmless[] = {"image_processor_type",
                                                   "feature_extractor_type",
                                                   "processor_class",
                                                   "do_resize",
                                                   "size",
                                                   "resample",
                                                   "do_center_crop",
                                                   "crop_size",
                                                   "do_rescale",
                                                   "do_normalize",
                                                   "image_mean",
                                                   "image_std",
                                                   "rescale_factor",
                                                   "do_convert_rgb",
                                                   "data_format",
                                                   "input_data_format",
                                                   "return_tensors",
                                                   "device",
                                                   "default_to_square",
                                                   "do_reduce_labels",
                                                   "use_fast",
                                                   "reduce_labels",
                                                   "disable_grouping",
                                                   "_valid_processor_keys"};
  for (const std::string& key : fields.keys()) {
    const Json* value = fields.find(key);
    bool known = std::find(std::begin(used_or_harmless), std::end(used_or_harmless), key) != std::end(used_or_harmless);
    if (known || !value || (value->is_boolean() && !value->get<bool>())) continue;  // `do_anything: false` does nothing
    fields.fail(key, "nothing: it may change pixels in a way that is not run", ErrorCode::unsupported);
  }
}

/// The pictures must leave with exactly the network's size.
void check_final_size(const PreprocessConfig& out, VitConfig& config, const Fields& fields) {
  if (fields.errors().failed()) return;
  const char* key = out.center_crop ? "crop_size" : "size";
  int height = out.center_crop ? out.crop_height : out.resize_height;
  int width = out.center_crop ? out.crop_width : out.resize_width;
  if (depends_on_picture(out.resize) && !out.center_crop)
    return fields.fail(key,
                       "{height, width}, or a centre crop: the network's pictures are all " +
                           size_text(config.image_height, config.image_width),
                       ErrorCode::unsupported);
  if (out.resize == Resize::none && !out.center_crop) return;  // only that size is accepted at run time
  if (config.resizes_itself) {
    config.image_height = height;
    config.image_width = width;
    return;
  }
  if (height != config.image_height || width != config.image_width)
    fields.fail_file(fields.name(key) + ": found " + size_text(height, width) + ", expected " +
                     size_text(config.image_height, config.image_width) + ", the network's image size");
}

}  // namespace

PreprocessConfig huggingface_preprocess(const Fields& fields, VitConfig& config) {
  PreprocessConfig out;
  const Defaults& defaults = processor_defaults(fields, config, out.backend);
  const bool dinov3 = &defaults == &processors[3];  // there never was a slow one
  if (dinov3) out.backend = ResizeBackend::torchvision;
  const bool fast = out.backend == ResizeBackend::torchvision;
  const bool float_first = dinov3 && fields.boolean("do_rescale", true);
  check_keys(fields);
  Size size = read_size(fields, "size", defaults.size,
                        !fields.boolean("default_to_square", !defaults.integer_is_shortest_edge));
  if (fields.boolean("do_resize", true)) {
    out.resize = size.rule;
    out.resize_height = size.height;
    out.resize_width = size.width;
    out.longest_edge = size.longest_edge;
    out.resample = read_resample(fields, defaults.resample, out.backend);
  } else {
    out.resize = Resize::none;
  }
  out.center_crop = fields.boolean("do_center_crop", defaults.crop != 0);
  if (out.center_crop) {
    int crop = defaults.crop != 0 ? defaults.crop : size.height;
    Size window = read_size(fields, "crop_size", {crop, crop}, false);
    if (window.rule != Resize::exact) fields.fail("crop_size", "an integer or {height, width}");
    out.crop_height = window.height;
    out.crop_width = window.width;
    out.crop_offset = fast ? PreprocessConfig::CropOffset::floor_pad_last : PreprocessConfig::CropOffset::floor;
  }
  out.rescale = fields.number("rescale_factor", 1e-6, 1e3, 1.0 / 255);
  if (!fields.boolean("do_rescale", true)) out.rescale = 1;
  if (fields.boolean("do_normalize", true)) {
    out.mean = per_channel(fields, "image_mean", config.channels, -largest_mean, largest_mean, defaults.mean);
    out.std = per_channel(fields, "image_std", config.channels, smallest_std, largest_std, defaults.std);
  }
  check_final_size(out, config, fields);
  // This processor resizes after the change to float. Filters that then leave the range of pixels are not run: of such
  // a network, only pictures of the session's size are taken, and as they are.
  if (float_first) {
    const bool in_range = out.resample == Resampling::bilinear || out.resample == Resampling::nearest;
    out.backend = ResizeBackend::torchvision_float;
    if (!in_range) {
      out.resize = Resize::none;
      out.center_crop = false;
    }
  }
  return out;
}

PreprocessConfig timm_resize(int height, int width, const TimmCrop& crop) {
  PreprocessConfig out;
  out.resize_height = static_cast<int>(std::floor(height / crop.pct));
  out.resize_width = static_cast<int>(std::floor(width / crop.pct));
  out.resample = crop.filter;
  if (crop.mode == TimmCrop::Mode::squash) {
    out.resize = Resize::exact;
  } else if (crop.mode == TimmCrop::Mode::border) {
    out.resize = Resize::contain;
  } else if (out.resize_height == out.resize_width) {
    out.resize = Resize::shortest_edge;
  } else {
    out.resize = Resize::cover;
    out.resample = Resampling::bilinear;  // timm does not hand its `interpolation` on
  }
  out.center_crop = true;
  out.crop_height = height;
  out.crop_width = width;
  out.crop_offset = PreprocessConfig::CropOffset::half_even;
  return out;
}

PreprocessConfig timm_preprocess(const Fields& fields, VitConfig& config) {
  std::string mode = fields.text("crop_mode", "center");
  if (mode != "center" && mode != "squash" && mode != "border")
    fields.fail("crop_mode", "\"center\", \"squash\" or \"border\"", ErrorCode::unsupported);
  if (fields.has("crop_border_pixels"))
    fields.fail("crop_border_pixels", "nothing: this is not run", ErrorCode::unsupported);
  std::string filter = fields.text("interpolation", "bicubic");
  constexpr std::pair<std::string_view, Resampling> filters[] = {
      {"nearest", Resampling::nearest}, {"box", Resampling::box},         {"bilinear", Resampling::bilinear},
      {"hamming", Resampling::hamming}, {"bicubic", Resampling::bicubic}, {"lanczos", Resampling::lanczos}};
  const auto* found = std::find_if(std::begin(filters), std::end(filters), [&](auto& f) { return f.first == filter; });
  if (found == std::end(filters)) {
    fields.fail("interpolation", "\"nearest\", \"box\", \"bilinear\", \"hamming\", \"bicubic\" or \"lanczos\"",
                ErrorCode::unsupported);
    found = std::begin(filters);
  }

  TimmCrop& crop = config.timm_crop.emplace();
  crop.mode = mode == "squash"   ? TimmCrop::Mode::squash
              : mode == "border" ? TimmCrop::Mode::border
                                 : TimmCrop::Mode::center;
  crop.pct = fields.number("crop_pct", 0.05, 4, crop.pct);
  crop.filter = found->second;
  auto out = timm_resize(config.image_height, config.image_width, crop);
  if (std::max(out.resize_height, out.resize_width) > max_image_side)
    fields.fail("crop_pct", "one that resizes pictures to at most " + std::to_string(max_image_side) + " pixels");
  out.mean = per_channel(fields, "mean", config.channels, -largest_mean, largest_mean, {});
  out.std = per_channel(fields, "std", config.channels, smallest_std, largest_std, {});
  for (std::size_t c = 0; mode == "border" && c < static_cast<std::size_t>(config.channels); ++c) {
    if (out.mean[c] < 0 || out.mean[c] > 1) {
      fields.fail("mean", "numbers from 0 to 1: \"crop_mode\" \"border\" surrounds pictures with that colour");
      break;
    }
    out.fill[c] = static_cast<std::uint8_t>(std::nearbyint(255 * out.mean[c]));  // round(): half to even
  }
  return out;
}

}  // namespace vitrail

#include "vitrail/preprocess.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "runtime/argument_error.hpp"

namespace vitrail {
namespace {

struct Size {
  int width = 0;
  int height = 0;
  bool operator==(const Size&) const = default;
};

/// How one axis of the resized picture lies in the result.
struct Placement {
  int src;  ///< first pixel of the resized picture that is wanted
  int dst;  ///< where it goes; the pixels before and behind have the colour `fill`
  int length;
};

/// The shortest_edge rule of torchvision.transforms.Resize and of transformers' get_resize_output_image_size: both
/// write int(edge * long / short). Their double quotient cannot round up to a whole number that the fraction does not
/// reach (numbers are below 2^30), so integer division gives the same.
Size shortest_edge_size(Size picture, int edge) {
  const auto longer = [edge](int long_side, int short_side) {
    return static_cast<int>(
        std::min<long long>(static_cast<long long>(edge) * long_side / short_side, max_image_side + 1));
  };
  if (picture.width <= picture.height) return {edge, longer(picture.height, picture.width)};
  return {longer(picture.width, picture.height), edge};
}

/// transformers' get_size_with_aspect_ratio; the operations are Python's, in its order.
Size limited_edge_size(Size picture, int edge, int longest) {
  const double small = std::min(picture.width, picture.height), large = std::max(picture.width, picture.height);
  double factor = edge;
  if (large / small * edge > longest) {
    factor = longest * small / large;
    edge = static_cast<int>(std::nearbyint(factor));  // round(): half to even
  }
  if (std::min(picture.width, picture.height) == edge) return picture;
  if (picture.width < picture.height) return {edge, static_cast<int>(factor * picture.height / picture.width)};
  return {static_cast<int>(factor * picture.width / picture.height), edge};
}

/// timm's ResizeKeepRatio.get_params and transformers' get_image_size_for_max_height_width, in Python's doubles.
Size proportional_size(Size picture, Size target, PreprocessConfig::Resize rule) {
  if (rule == PreprocessConfig::Resize::contain_truncated) {
    const double scale = std::min(static_cast<double>(target.height) / picture.height,
                                  static_cast<double>(target.width) / picture.width);
    return {static_cast<int>(picture.width * scale), static_cast<int>(picture.height * scale)};
  }
  const double y = static_cast<double>(picture.height) / target.height;
  const double x = static_cast<double>(picture.width) / target.width;
  const double ratio = rule == PreprocessConfig::Resize::contain ? std::max(y, x) : std::min(y, x);
  return {static_cast<int>(std::nearbyint(picture.width / ratio)),  // round(): half to even
          static_cast<int>(std::nearbyint(picture.height / ratio))};
}

/// The size of the whole picture after the resize.
Result<Size> resized_size(const PreprocessConfig& config, Size picture) {
  using Resize = PreprocessConfig::Resize;
  const auto refuse = [&](const std::string& expected) {
    return argument_error("image", size_text(picture.height, picture.width) + " pixels", expected);
  };
  switch (config.resize) {
    case Resize::none:
      return picture;
    case Resize::exact:
      return Size{config.resize_width, config.resize_height};
    case Resize::shortest_edge: {
      const Size size = config.longest_edge > 0 ? limited_edge_size(picture, config.resize_height, config.longest_edge)
                                                : shortest_edge_size(picture, config.resize_height);
      if (std::min(size.width, size.height) < 1)
        return refuse("a shorter side of at least one pixel after the longer one is " +
                      std::to_string(config.longest_edge));
      if (std::max(size.width, size.height) > max_image_side)
        return refuse("a longer side of at most " + std::to_string(max_image_side) + " after the shorter one is " +
                      std::to_string(config.resize_height));
      return size;
    }
    default: {
      const Size size = proportional_size(picture, {config.resize_width, config.resize_height}, config.resize);
      if (std::min(size.width, size.height) < 1 || std::max(size.width, size.height) > max_image_side)
        return refuse("sides from 1 to " + std::to_string(max_image_side) + " after the resize, not " +
                      size_text(size.height, size.width));
      return size;
    }
  }
}

/// First pixel of the crop, in the resized picture; negative where the picture is smaller and fill comes first.
int crop_start(int length, int crop, PreprocessConfig::CropOffset offset) {
  const int rest = length - crop;
  // transformers: (length - crop) // 2, which for a small picture puts ceil(-rest / 2) zeros first.
  if (offset == PreprocessConfig::CropOffset::floor) return rest >= 0 ? rest / 2 : -((1 - rest) / 2);
  // torchvision pads first, (crop - length) // 2 zeros in front, and then has nothing to crop on this axis.
  if (rest < 0) return -(-rest / 2);
  if (offset == PreprocessConfig::CropOffset::floor_pad_last) return rest / 2;
  // Python's round(rest / 2.0): halves go to the even neighbour.
  return rest / 2 + (rest % 4 == 3 ? 1 : 0);
}

Placement place(int length, int crop, PreprocessConfig::CropOffset offset) {
  const int start = crop_start(length, crop, offset);
  const int first = std::max(0, start);
  return {first, first - start, std::min(length, start + crop) - first};
}

/// Where the pixels of a picture go.
struct Aim {
  Size resized;
  Placement x, y;
};

Status check_config(const PreprocessConfig& config, int channels) {
  if (channels != 1 && channels != 3) return argument_error("channels", std::to_string(channels), "1 or 3");
  if (config.resize < PreprocessConfig::Resize::none || config.resize > PreprocessConfig::Resize::contain_truncated)
    return argument_error("resize", std::to_string(static_cast<int>(config.resize)), "a PreprocessConfig::Resize");
  if (config.resize != PreprocessConfig::Resize::none) {
    if (Status status = check_range("resize_height", config.resize_height, 1, max_image_side); !status) return status;
  }
  if (config.resize != PreprocessConfig::Resize::none && config.resize != PreprocessConfig::Resize::shortest_edge) {
    if (Status status = check_range("resize_width", config.resize_width, 1, max_image_side); !status) return status;
  }
  if (config.crop_offset < PreprocessConfig::CropOffset::floor ||
      config.crop_offset > PreprocessConfig::CropOffset::floor_pad_last)
    return argument_error("crop_offset", std::to_string(static_cast<int>(config.crop_offset)),
                          "a PreprocessConfig::CropOffset");
  if (Status status = check_range("longest_edge", config.longest_edge, 0, max_image_side); !status) return status;
  if (config.center_crop) {
    if (Status status = check_range("crop_height", config.crop_height, 1, max_image_side); !status) return status;
    if (Status status = check_range("crop_width", config.crop_width, 1, max_image_side); !status) return status;
  }
  return {};
}

}  // namespace

struct Preprocessor::State {
  PreprocessConfig config;
  int channels;
  const Kernels* kernels;  ///< null: chosen with every plan

  // Valid for pictures of the planned size and format; a new plan is made for any other.
  std::optional<Resizer> resizer;
  Size planned_size;
  PixelFormat planned_format = PixelFormat::rgb8;
  bool planned_by_rows = false;
  Size result;
  std::size_t first_byte = 0;        // of the resized pixels in `pixels`
  std::vector<std::uint8_t> pixels;  // the result; what is around the resized pixels stays as the plan filled it

  PixelFormat format() const noexcept { return channels == 1 ? PixelFormat::gray8 : PixelFormat::rgb8; }
  std::ptrdiff_t row_bytes() const noexcept { return static_cast<std::ptrdiff_t>(result.width) * channels; }
  Result<ImageView> run(const ImageView& image);
  Result<ImageView> run(RowSource& rows);
  Result<Aim> aim(Size size);
  Status plan(Size size, PixelFormat source_format, bool by_rows, const Aim& aim);
  template <class Source>
  Result<ImageView> resize(Source& source, Size size, PixelFormat source_format, const Aim& aim);
};

/// Throws where there is no memory.
Status Preprocessor::State::plan(Size size, PixelFormat source_format, bool by_rows, const Aim& aim) {
  resizer.reset();
  Resizer::Options options;
  options.src_width = size.width;
  options.src_height = size.height;
  options.dst_width = aim.resized.width;
  options.dst_height = aim.resized.height;
  options.window_x = aim.x.src;
  options.window_y = aim.y.src;
  options.window_width = aim.x.length;
  options.window_height = aim.y.length;
  options.src_format = source_format;
  options.dst_format = format();
  options.filter = config.resample;
  options.pass_order = config.pass_order;
  options.backend = config.backend;
  options.by_rows = by_rows;
  Result<Resizer> made = kernels ? Resizer::plan(options, *kernels) : Resizer::plan(options);
  if (!made) return made.error();
  pixels.resize(static_cast<std::size_t>(row_bytes()) * static_cast<std::size_t>(result.height));
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = config.fill[i % static_cast<std::size_t>(channels)];
  first_byte = static_cast<std::size_t>(aim.y.dst * row_bytes() + static_cast<std::ptrdiff_t>(aim.x.dst) * channels);
  resizer.emplace(*std::move(made));
  planned_size = size;
  planned_format = source_format;
  planned_by_rows = by_rows;
  return {};
}

/// Sets `result`, too.
Result<Aim> Preprocessor::State::aim(Size size) {
  if (Status status = check_config(config, channels); !status) return status.error();
  const Result<Size> wanted = resized_size(config, size);
  if (!wanted) return wanted.error();
  const Size resized = *wanted;
  result = config.center_crop ? Size{config.crop_width, config.crop_height} : resized;
  return Aim{resized, place(resized.width, result.width, config.crop_offset),
             place(resized.height, result.height, config.crop_offset)};
}

template <class Source>
Result<ImageView> Preprocessor::State::resize(Source& source, Size size, PixelFormat source_format, const Aim& aim) {
  constexpr bool by_rows = std::is_same_v<Source, RowSource>;
  const bool planned = resizer && planned_size == size && planned_format == source_format && planned_by_rows == by_rows;
  if (!planned) {
    if (Status status = plan(size, source_format, by_rows, aim); !status) return status.error();
  }
  if (Status status = resizer->run(source, pixels.data() + first_byte, row_bytes()); !status) return status.error();
  return ImageView{pixels.data(), result.width, result.height, row_bytes(), format()};
}

Result<ImageView> Preprocessor::State::run(const ImageView& image) {
  if (Status status = check(image); !status) return status.error();
  const Size size{image.width, image.height};
  const auto to = aim(size);
  if (!to) return to.error();
  const bool same_pixels = to->resized == size && image.format == format();
  if (same_pixels && to->x.length == result.width && to->y.length == result.height) {
    return ImageView{image.row(to->y.src) + static_cast<std::ptrdiff_t>(to->x.src) * channels, result.width,
                     result.height, image.stride_bytes, image.format};
  }
  return resize(image, size, image.format, *to);
}

Result<ImageView> Preprocessor::State::run(RowSource& rows) {
  if (Status status = check(rows); !status) return status.error();
  const Size size{rows.width(), rows.height()};
  const auto to = aim(size);
  if (!to) return to.error();
  return resize(rows, size, rows.format(), *to);
}

Preprocessor::Preprocessor(const PreprocessConfig& config, int channels) : Preprocessor(config, channels, nullptr) {}
Preprocessor::Preprocessor(const PreprocessConfig& config, int channels, const Kernels* kernels)
    : state_(std::make_unique<State>()) {
  state_->config = config;
  state_->channels = channels;
  state_->kernels = kernels;
}
Preprocessor::Preprocessor(Preprocessor&&) noexcept = default;
Preprocessor& Preprocessor::operator=(Preprocessor&&) noexcept = default;
Preprocessor::~Preprocessor() = default;

Result<ImageView> Preprocessor::run(const ImageView& image) noexcept try { return state_->run(image); } catch (...) {
  return caught();
}

Result<ImageView> Preprocessor::run(RowSource& rows) noexcept try { return state_->run(rows); } catch (...) {
  return caught();
}

std::size_t Preprocessor::memory_bytes() const noexcept {
  return sizeof(State) + state_->pixels.capacity() + (state_->resizer ? state_->resizer->memory_bytes() : 0);
}

}  // namespace vitrail

// From any picture to the pixels a network was trained on: resize and crop, equal to Pillow's to the byte.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "vitrail/error.hpp"
#include "vitrail/image.hpp"

namespace vitrail {

struct Kernels;

/// Pillow's filters (PIL.Image.Resampling). All but `nearest` antialias: their support grows with the reduction.
enum class Resampling { nearest, box, bilinear, hamming, bicubic, lanczos };

/// Whose arithmetic a resize follows. The pixels differ by a level here and there.
enum class ResizeBackend {
  pillow,       ///< PIL.Image.resize: weights of 22 bits
  torchvision,  ///< torchvision's resize of a u8 tensor (transformers' …ImageProcessorFast): weights of 16 bits, always
                ///< the horizontal pass first, `nearest` is nearest-exact; has no box and no hamming
  torchvision_float,  ///< torchvision's resize of a float tensor (DINOv3's processor rescales first), rounded to u8
                      ///< once, at the end: within half a level of Python's floats; only nearest and bilinear, because
                      ///< the others leave the range of pixels
};

/// Which pass of a resize comes first. Each pass rounds to u8, so the order changes some pixels, mostly by one level.
enum class PassOrder {
  pillow_13,         ///< vertical first where src_height − dst_height > max(0, 2 · (src_width − dst_width))
  horizontal_first,  ///< always, as Pillow before version 13 (where they differ at all: pictures that get less tall)
};

/// A resize from one size to another, planned once (filter coefficients, scratch) and run on many pictures.
/// Same arithmetic as Pillow's ImagingResample (or torch's): two passes, each rounded to u8, in fixed point; a pass is
/// skipped where that side keeps its length. A change of pixel format happens before the resize. Moves (a moved-from
/// one may be assigned to or destroyed, nothing else); `run` uses the plan's scratch, so a plan belongs to one thread
/// at a time.
class Resizer {
 public:
  struct Options {
    int src_width = 0, src_height = 0;  ///< pixels, 1 … max_image_side
    int dst_width = 0, dst_height = 0;  ///< pixels, 1 … max_image_side: the size of the whole resized picture
    /// The part of the resized picture that is wanted; width 0 means all of it. Only this part is computed.
    int window_x = 0, window_y = 0, window_width = 0, window_height = 0;
    PixelFormat src_format = PixelFormat::rgb8;
    /// rgb8 or gray8 (from colour: Pillow's convert("L"); from gray to rgb8: the sample three times).
    PixelFormat dst_format = PixelFormat::rgb8;
    Resampling filter = Resampling::bilinear;
    PassOrder pass_order = PassOrder::pillow_13;  ///< of the backend pillow
    ResizeBackend backend = ResizeBackend::pillow;
    bool by_rows = false;  ///< room for the rows under the filter, so that they may come from a RowSource, too
  };
  /// Chooses the loops of this CPU (VITRAIL_CPU lowers them; every choice gives the same bytes). An error where an
  /// option is out of its range, VITRAIL_CPU or VITRAIL_ONEDNN is nothing they may be, or there is no memory.
  static Result<Resizer> plan(const Options& options);
  Resizer(Resizer&&) noexcept;
  Resizer& operator=(Resizer&&) noexcept;
  ~Resizer();

  /// Resizes `src` into `dst`: window_height rows of window_width pixels of dst_format, `dst_stride_bytes` apart (any
  /// sign). An error when `src` fails check() or has not the planned size and format, `dst` is null or the stride
  /// shorter than a row. Never throws; success does not allocate.
  /// @param dst  must not overlap src
  Status run(const ImageView& src, std::uint8_t* dst, std::ptrdiff_t dst_stride_bytes) noexcept;

  /// The same of a picture that comes row by row, with a plan `by_rows`; or the source's error. Reads all rows, needed
  /// or not: a file that is damaged at its end is damaged.
  Status run(RowSource& src, std::uint8_t* dst, std::ptrdiff_t dst_stride_bytes) noexcept;

  /// Bytes of coefficients and scratch this plan holds.
  std::size_t memory_bytes() const noexcept;

 private:
  friend class Preprocessor;
  struct Plan;
  static Result<Resizer> plan(const Options& options, const Kernels& kernels);
  explicit Resizer(std::unique_ptr<Plan> plan) noexcept;
  std::unique_ptr<Plan> plan_;
};

/// One-shot resize: PIL.Image.resize((width, height), filter) of the picture as RGB, or as L where it is gray8.
/// The result is gray8 for a gray8 picture, else rgb8.
Result<Image> resize(const ImageView& src, int width, int height, Resampling filter,
                     PassOrder pass_order = PassOrder::pillow_13);

/// What a network's own configuration says about its pictures (Hugging Face preprocessor_config.json, timm
/// pretrained_cfg).
struct PreprocessConfig {
  enum class Resize {
    none,
    exact,          ///< to resize_width x resize_height
    shortest_edge,  ///< the shorter side becomes resize_height, the other one keeps the proportion, truncated to whole
                    ///< pixels; where the longer one would exceed `longest_edge`, it becomes about that instead
                    ///< (transformers' get_size_with_aspect_ratio)
    // Both sides in proportion, from the two ratios to resize_width x resize_height:
    cover,              ///< the smallest that covers it, sides rounded half to even (timm's ResizeKeepRatio)
    contain,            ///< the largest inside it, rounded alike (timm's ResizeKeepRatio with longest = 1)
    contain_truncated,  ///< the largest inside it, truncated (transformers' get_image_size_for_max_height_width)
  };
  Resize resize = Resize::exact;
  int resize_height = 0;  ///< pixels, 1 … max_image_side; `shortest_edge`: the length of the shorter side
  int resize_width = 0;   ///< pixels, 1 … max_image_side; ignored by `shortest_edge`
  int longest_edge = 0;   ///< pixels, at most max_image_side; only for `shortest_edge`; 0: no limit
  Resampling resample = Resampling::bilinear;
  PassOrder pass_order = PassOrder::pillow_13;
  ResizeBackend backend = ResizeBackend::pillow;

  bool center_crop = false;                   ///< a picture smaller than the crop is surrounded by `fill`
  int crop_height = 0, crop_width = 0;        ///< pixels, 1 … max_image_side
  std::array<std::uint8_t, 3> fill{0, 0, 0};  ///< per channel of the network
  /// Where an odd difference goes: transformers floors ((h − crop) // 2), torchvision (timm) rounds half to even.
  /// Around a picture that is too small, transformers puts the odd row of fill first, torchvision last; transformers'
  /// fast processors floor and put it last.
  enum class CropOffset { floor, half_even, floor_pad_last } crop_offset = CropOffset::floor;

  /// network input = (pixel · rescale − mean[c]) / std[c], per channel of the network; folded into the patch weights.
  double rescale = 1.0 / 255.0;
  std::array<double, 4> mean{0, 0, 0, 0};
  std::array<double, 4> std{1, 1, 1, 1};
};

/// Resize + centre crop, as one network wants them. Holds buffers: belongs to one thread at a time. Moves, as Resizer.
/// The size of the result is what the config says; whether the network takes that size is for the caller to check.
class Preprocessor {
 public:
  /// @param channels  3: the result is rgb8; 1: gray8 (Pillow's convert("L") weights where the picture has
  ///                  colour, applied before the resize)
  Preprocessor(const PreprocessConfig& config, int channels);
  Preprocessor(Preprocessor&&) noexcept;
  Preprocessor& operator=(Preprocessor&&) noexcept;
  ~Preprocessor();

  /// The picture the network sees: rgb8 or gray8, borrowed from this object and valid until the next call; or borrowed
  /// from `image` where no pixel had to be computed (right format, no change of size but perhaps a crop). Allocates
  /// only when size, format or kind (whole, or row by row) differ from the last call's, and chooses the loops of this
  /// CPU then (as Resizer::plan). Never throws.
  Result<ImageView> run(const ImageView& image) noexcept;

  /// The same of a picture that comes row by row: it is never whole in memory. Reads all rows, once.
  Result<ImageView> run(RowSource& rows) noexcept;

  /// Bytes of buffers this object holds.
  std::size_t memory_bytes() const noexcept;

 private:
  friend class Pictures;
  struct State;
  /// @param kernels  a session's, which outlive this object; null: chosen when a plan is made
  Preprocessor(const PreprocessConfig& config, int channels, const Kernels* kernels);
  std::unique_ptr<State> state_;
};

}  // namespace vitrail

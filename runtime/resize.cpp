#include <algorithm>
#include <string>
#include <vector>

#include "runtime/argument_error.hpp"
#include "runtime/kernels.hpp"
#include "runtime/pixel_rows.hpp"
#include "runtime/resize_filters.hpp"
#include "vitrail/preprocess.hpp"

namespace vitrail {
namespace {

std::string describe(int width, int height, PixelFormat format) {
  const char* const names[] = {"rgb8", "bgr8", "rgba8", "bgra8", "gray8"};
  const auto index = static_cast<std::size_t>(format);
  return size_text(height, width) + " " + (index < std::size(names) ? names[index] : "of no PixelFormat");
}

Status check_options(const Resizer::Options& o) {
  const struct {
    const char* name;
    long long value, low, high;
  } ranges[] = {
      {"src_width", o.src_width, 1, max_image_side},
      {"src_height", o.src_height, 1, max_image_side},
      {"dst_width", o.dst_width, 1, max_image_side},
      {"dst_height", o.dst_height, 1, max_image_side},
      {"window_width", o.window_width, 1, o.dst_width},
      {"window_height", o.window_height, 1, o.dst_height},
      {"window_x", o.window_x, 0, o.dst_width - static_cast<long long>(o.window_width)},
      {"window_y", o.window_y, 0, o.dst_height - static_cast<long long>(o.window_height)},
  };
  for (const auto& range : ranges) {
    if (Status status = check_range(range.name, range.value, range.low, range.high); !status) return status;
  }
  if (bytes_per_pixel(o.src_format) == 0) {
    return argument_error("src_format", std::to_string(static_cast<int>(o.src_format)), "a PixelFormat");
  }
  if (o.dst_format != PixelFormat::rgb8 && o.dst_format != PixelFormat::gray8) {
    return argument_error("dst_format", std::to_string(static_cast<int>(o.dst_format)), "rgb8 or gray8");
  }
  if (o.filter < Resampling::nearest || o.filter > Resampling::lanczos) {
    return argument_error("filter", std::to_string(static_cast<int>(o.filter)), "a Resampling");
  }
  if (o.backend < ResizeBackend::pillow || o.backend > ResizeBackend::torchvision_float) {
    return argument_error("backend", std::to_string(static_cast<int>(o.backend)), "a ResizeBackend");
  }
  if (o.backend == ResizeBackend::torchvision && (o.filter == Resampling::box || o.filter == Resampling::hamming)) {
    return argument_error("filter", o.filter == Resampling::box ? "box" : "hamming", "one that torchvision has");
  }
  if (o.backend == ResizeBackend::torchvision_float && o.filter != Resampling::nearest &&
      o.filter != Resampling::bilinear) {
    return argument_error("filter", std::to_string(static_cast<int>(o.filter)),
                          "nearest or bilinear with torchvision_float");
  }
  if (o.pass_order != PassOrder::pillow_13 && o.pass_order != PassOrder::horizontal_first) {
    return argument_error("pass_order", std::to_string(static_cast<int>(o.pass_order)), "a PassOrder");
  }
  return {};
}

Status check_planned(const Resizer::Options& o, int width, int height, PixelFormat format) {
  if (width == o.src_width && height == o.src_height && format == o.src_format) return {};
  return argument_error("src", describe(width, height, format),
                        describe(o.src_width, o.src_height, o.src_format) + ", as planned");
}

Status check_result(const Resizer::Options& o, const std::uint8_t* dst, std::ptrdiff_t stride_bytes) {
  if (dst == nullptr) return argument_error("dst", "null", "a pointer to the first row");
  const std::ptrdiff_t row_bytes = std::ptrdiff_t{o.window_width} * bytes_per_pixel(o.dst_format);
  if (stride_bytes >= row_bytes || stride_bytes <= -row_bytes || o.window_height == 1) return {};
  return argument_error("dst_stride_bytes", std::to_string(stride_bytes),
                        "at least " + std::to_string(row_bytes) + ", or its negative");
}

template <class T>
std::size_t bytes(const std::vector<T>& vector) noexcept {
  return vector.capacity() * sizeof(T);
}

/// The vertical pass of rows that the horizontal one left unrounded, with resize_fraction_bits fraction bits.
void blend_unrounded(const std::int32_t* const* rows, const std::int32_t* weights, int count, std::uint8_t* dst,
                     std::size_t row_samples) noexcept {
  constexpr int bits = 2 * resize_fraction_bits;
  for (std::size_t x = 0; x < row_samples; ++x) {
    std::int64_t sum = std::int64_t{1} << (bits - 1);
    for (int k = 0; k < count; ++k) sum += std::int64_t{weights[k]} * rows[k][x];
    dst[x] = static_cast<std::uint8_t>(std::clamp<std::int64_t>(sum >> bits, 0, 255));
  }
}

/// The rows of a picture, whole or coming; asked for from the top to the bottom, some perhaps not at all.
class SourceRows {
 public:
  explicit SourceRows(const ImageView& view) noexcept : view_(&view) {}
  explicit SourceRows(RowSource& source) noexcept : source_(&source) {}

  /// Row y; null after an error. Of a source that is coming, it is valid until the next call.
  const std::uint8_t* row(int y) {
    if (view_) return view_->row(y);
    while (next_ <= y && status_) {
      const auto row = source_->next_row();
      ++next_;
      row_ = row ? *row : nullptr;
      if (!row_) status_ = row ? no_row(next_ - 1) : row.error();
    }
    return row_;
  }
  /// Reads what nobody asked for.
  Status finish() {
    if (source_) row(source_->height() - 1);
    return status_;
  }

 private:
  const ImageView* view_ = nullptr;
  RowSource* source_ = nullptr;
  int next_ = 0;
  const std::uint8_t* row_ = nullptr;
  Status status_;
};

}  // namespace

/// What a run needs: weights for the axes that change, and one buffer for each step that cannot work in place.
///
///   horizontal first   source row → work pixels, horizontal pass → ring → vertical pass → result
///   vertical first     source row → work pixels → ring → vertical pass → blended → horizontal pass → result
struct Resizer::Plan {
  Options options;
  Kernels kernels;
  PixelFormat work;  ///< what the passes compute: gray8 where either end is gray, else rgb8
  int channels;      ///< of `work`
  bool horizontal;
  bool vertical;
  bool vertical_first;

  AxisFilter filter_x;               ///< only with `horizontal`
  SplitWeights weights_x;            ///< only with `horizontal`
  std::vector<std::int16_t> planes;  ///< only with `horizontal`: one row before the pass, [channels, plane_pitch]
  std::ptrdiff_t plane_pitch = 0;
  std::vector<std::int32_t> sums;  ///< only with `horizontal`: one row behind the pass, before it is rounded

  AxisFilter filter_y;  ///< only with `vertical`
  /// What the vertical pass reads: `columns` pixels of each row. Without a horizontal pass before it, they start at
  /// `first_column` of the source.
  int first_column;
  int columns;
  /// Those rows, [ring_rows, columns · channels]; source row y lies at y % ring_rows. So the scratch depends on the
  /// reduction, not on the picture's height, and stays in the nearest caches. Empty where they can be read in a whole
  /// source.
  template <class Sample>
  struct Ring {
    std::vector<Sample> rows;
    std::vector<const Sample*> taps;  ///< the rows under the vertical filter
  };
  Ring<std::uint8_t> ring;
  Ring<std::int32_t> unrounded_ring;  ///< instead of it, where the backend does not round between two passes
  bool unrounded;
  int ring_rows = 0;
  std::vector<std::uint8_t> blended;  ///< only with `vertical_first`: one row between the passes

  std::vector<std::uint8_t> gray_row;  ///< only from gray8 to rgb8

  Plan(const Options& o, const Kernels& k);
  std::size_t row_bytes() const noexcept {
    return static_cast<std::size_t>(columns) * static_cast<std::size_t>(channels);
  }
  bool converts() const noexcept { return options.src_format != work; }
  const std::uint8_t* from_column(const std::uint8_t* src_row, int column) const noexcept {
    return src_row + static_cast<std::ptrdiff_t>(column) * bytes_per_pixel(options.src_format);
  }
  void first_pass(const std::uint8_t* src_row, std::uint8_t* dst) noexcept;
  void first_pass(const std::uint8_t* src_row, std::int32_t* dst) noexcept;
  template <class Sample>
  void horizontal_pass(const std::uint8_t* pixels, PixelFormat format, Sample* dst) noexcept;
  bool vertical_pass(SourceRows& src, int i, int& next_row, std::uint8_t* dst);
  template <class Sample>
  bool vertical_pass(Ring<Sample>& from, SourceRows& src, int i, int& next_row, std::uint8_t* dst);
  Status run(SourceRows src, std::uint8_t* dst, std::ptrdiff_t dst_stride_bytes);
};

Resizer::Plan::Plan(const Options& o, const Kernels& k) : options(o), kernels(k) {
  const bool gray = o.src_format == PixelFormat::gray8 || o.dst_format == PixelFormat::gray8;
  work = gray ? PixelFormat::gray8 : PixelFormat::rgb8;
  channels = bytes_per_pixel(work);
  horizontal = o.src_width != o.dst_width;
  vertical = o.src_height != o.dst_height;
  // Found by comparing Pillow 13.0 with its two passes one by one, on thousands of sizes.
  const bool pillow_prefers_vertical =
      o.dst_height < o.src_height && o.src_height - o.dst_height > 2 * (o.src_width - o.dst_width);
  vertical_first = horizontal && vertical && o.backend == ResizeBackend::pillow &&
                   o.pass_order == PassOrder::pillow_13 && pillow_prefers_vertical;
  unrounded = horizontal && vertical && o.backend == ResizeBackend::torchvision_float;
  first_column = o.window_x;
  columns = o.window_width;
  if (horizontal) {
    filter_x = make_axis_filter(o.src_width, o.dst_width, o.window_x, o.window_width, o.filter, o.backend);
    weights_x = split(filter_x);
    plane_pitch = filter_x.end() - filter_x.begin() + filter_block;
    planes.resize(static_cast<std::size_t>(plane_pitch * channels));
    sums.resize(static_cast<std::size_t>(o.window_width) * static_cast<std::size_t>(channels) + 1);
  }
  if (vertical_first) {
    first_column = filter_x.begin();
    columns = filter_x.end() - filter_x.begin();
    blended.resize(row_bytes());
  }
  if (vertical) {
    filter_y = make_axis_filter(o.src_height, o.dst_height, o.window_y, o.window_height, o.filter, o.backend);
    if ((horizontal && !vertical_first) || converts() || o.by_rows) ring_rows = filter_y.longest();
    const auto make = [this](auto& r) {
      r.taps.resize(static_cast<std::size_t>(filter_y.longest()));
      r.rows.resize(static_cast<std::size_t>(ring_rows) * row_bytes());
    };
    unrounded ? make(unrounded_ring) : make(ring);
  }
  if (o.dst_format != work) gray_row.resize(static_cast<std::size_t>(o.window_width));
}

/// One source row → one row of `columns` work pixels.
void Resizer::Plan::first_pass(const std::uint8_t* src_row, std::uint8_t* dst) noexcept {
  if (horizontal && !vertical_first) {
    horizontal_pass(from_column(src_row, filter_x.begin()), options.src_format, dst);
  } else {
    convert_row(from_column(src_row, first_column), options.src_format, dst, work, columns);
  }
}

void Resizer::Plan::first_pass(const std::uint8_t* src_row, std::int32_t* dst) noexcept {
  horizontal_pass(from_column(src_row, filter_x.begin()), options.src_format, dst);
}

/// @param pixels  those of a row that the window needs, i.e. from filter_x.begin() on
template <class Sample>
void Resizer::Plan::horizontal_pass(const std::uint8_t* pixels, PixelFormat format, Sample* dst) noexcept {
  split_row(kernels, pixels, format, planes.data(), plane_pitch, work, filter_x.end() - filter_x.begin());
  kernels.resize_row(planes.data(), plane_pitch, channels, filter_x, weights_x, sums.data());
  const auto convert = [](std::int32_t sum) {
    if constexpr (sizeof(Sample) == 1)
      return resized_sample(sum + resize_rounding);
    else
      return sum;
  };
  std::transform(sums.data(), sums.data() + sums.size() - 1, dst, convert);
}

/// Row `i` of the window; false where the source ended in an error. Rows of the source before `next_row` have been
/// through the first pass.
bool Resizer::Plan::vertical_pass(SourceRows& src, int i, int& next_row, std::uint8_t* dst) {
  return unrounded ? vertical_pass(unrounded_ring, src, i, next_row, dst) : vertical_pass(ring, src, i, next_row, dst);
}

template <class Sample>
bool Resizer::Plan::vertical_pass(Ring<Sample>& from, SourceRows& src, int i, int& next_row, std::uint8_t* dst) {
  const FilterSpan span = filter_y.spans[static_cast<std::size_t>(i)];
  next_row = std::max(next_row, span.first);
  for (int k = 0; k < span.count; ++k) {
    const int y = span.first + k;
    if constexpr (sizeof(Sample) == 1) {
      if (ring_rows == 0) {
        from.taps[static_cast<std::size_t>(k)] = from_column(src.row(y), first_column);
        continue;
      }
    }
    Sample* slot = from.rows.data() + static_cast<std::size_t>(y % ring_rows) * row_bytes();
    if (y == next_row) {
      const std::uint8_t* row = src.row(y);
      if (!row) return false;
      first_pass(row, slot);
      ++next_row;
    }
    from.taps[static_cast<std::size_t>(k)] = slot;
  }
  if constexpr (sizeof(Sample) == 1)
    kernels.blend_rows(from.taps.data(), filter_y.row(i), span.count, dst, row_bytes());
  else
    blend_unrounded(from.taps.data(), filter_y.row(i), span.count, dst, row_bytes());
  return true;
}

Status Resizer::Plan::run(SourceRows src, std::uint8_t* dst, std::ptrdiff_t dst_stride_bytes) {
  int next_row = 0;
  for (int i = 0; i < options.window_height; ++i) {
    std::uint8_t* dst_row = dst + i * dst_stride_bytes;
    std::uint8_t* work_row = gray_row.empty() ? dst_row : gray_row.data();
    if (vertical) {
      if (!vertical_pass(src, i, next_row, vertical_first ? blended.data() : work_row)) break;
      if (vertical_first) horizontal_pass(blended.data(), work, work_row);
    } else {
      const std::uint8_t* row = src.row(options.window_y + i);
      if (!row) break;
      first_pass(row, work_row);
    }
    if (work_row != dst_row) convert_row(work_row, work, dst_row, options.dst_format, options.window_width);
  }
  return src.finish();
}

Resizer::Resizer(std::unique_ptr<Plan> plan) noexcept : plan_(std::move(plan)) {}
Resizer::Resizer(Resizer&&) noexcept = default;
Resizer& Resizer::operator=(Resizer&&) noexcept = default;
Resizer::~Resizer() = default;

Result<Resizer> Resizer::plan(const Options& options) try {
  const auto kernels = select_kernels();
  if (!kernels) return kernels.error();
  return plan(options, *kernels);
} catch (...) {  // a vector has its own exception for a size that no memory has
  return Error{ErrorCode::out_of_memory, "Resizer::plan: no memory for the coefficients"};
}

/// Throws where there is no memory.
Result<Resizer> Resizer::plan(const Options& options, const Kernels& kernels) {
  Options o = options;
  if (o.window_width == 0) {
    o.window_x = o.window_y = 0;
    o.window_width = o.dst_width;
    o.window_height = o.dst_height;
  }
  if (Status status = check_options(o); !status) return status.error();
  return Resizer(std::make_unique<Plan>(o, kernels));
}

Status Resizer::run(const ImageView& src, std::uint8_t* dst, std::ptrdiff_t dst_stride_bytes) noexcept try {
  if (Status status = check(src); !status) return status;
  if (Status status = check_planned(plan_->options, src.width, src.height, src.format); !status) return status;
  if (Status status = check_result(plan_->options, dst, dst_stride_bytes); !status) return status;
  return plan_->run(SourceRows(src), dst, dst_stride_bytes);
} catch (...) {
  return caught();
}

Status Resizer::run(RowSource& src, std::uint8_t* dst, std::ptrdiff_t dst_stride_bytes) noexcept try {
  const Options& o = plan_->options;
  if (!o.by_rows) return argument_error("src", "a picture that comes row by row", "a plan with by_rows");
  if (Status status = check_planned(o, src.width(), src.height(), src.format()); !status) return status;
  if (Status status = check_result(o, dst, dst_stride_bytes); !status) return status;
  return plan_->run(SourceRows(src), dst, dst_stride_bytes);
} catch (...) {
  return caught();
}

std::size_t Resizer::memory_bytes() const noexcept {
  const Plan& p = *plan_;
  return sizeof(Plan) + bytes(p.filter_x.spans) + bytes(p.filter_x.weights) + bytes(p.weights_x.high) +
         bytes(p.weights_x.low) + bytes(p.planes) + bytes(p.sums) + bytes(p.filter_y.spans) +
         bytes(p.filter_y.weights) + bytes(p.ring.rows) + bytes(p.ring.taps) + bytes(p.unrounded_ring.rows) +
         bytes(p.unrounded_ring.taps) + bytes(p.blended) + bytes(p.gray_row);
}

Result<Image> resize(const ImageView& src, int width, int height, Resampling filter, PassOrder pass_order) {
  if (Status status = check(src); !status) return status.error();
  Resizer::Options options;
  options.src_width = src.width;
  options.src_height = src.height;
  options.dst_width = width;
  options.dst_height = height;
  options.src_format = src.format;
  options.dst_format = src.format == PixelFormat::gray8 ? PixelFormat::gray8 : PixelFormat::rgb8;
  options.filter = filter;
  options.pass_order = pass_order;
  Result<Resizer> resizer = Resizer::plan(options);
  if (!resizer) return resizer.error();
  try {
    Image image(width, height, options.dst_format);
    if (Status status = resizer->run(src, image.row(0), static_cast<std::ptrdiff_t>(image.row_bytes())); !status) {
      return status.error();
    }
    return image;
  } catch (...) {
    return Error{ErrorCode::out_of_memory, "resize: no memory for " + describe(width, height, options.dst_format)};
  }
}

}  // namespace vitrail

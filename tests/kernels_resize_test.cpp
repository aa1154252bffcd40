// The loops of a resize: every class gives the exact sums and samples; resize_test.cpp compares the whole with Pillow.
#include <doctest/doctest.h>

#include "runtime/resize_filters.hpp"
#include "tests/support/kernel_cases.hpp"

using namespace vitrail;
using namespace vitrail::test;

TEST_CASE("pixels are split into planes, and nothing beyond them is read or written") {
  for (const auto& platform : platforms()) {
    CAPTURE(platform.name);
    for (const int bytes : {3, 4})
      for (const int width : {1, 2, 5, 7, 8, 9, 15, 16, 17, 18, 31, 33, 64, 255, 256, 257, 1000}) {
        CAPTURE(bytes);
        CAPTURE(width);
        Random random(static_cast<unsigned>(width));
        const auto src = random.bytes(static_cast<std::size_t>(width * bytes));  // to the byte: ASan sees more
        std::vector<std::int16_t> planes(static_cast<std::size_t>(3 * (width + 1)), -1);
        auto* first = planes.data();
        platform.kernels.split_pixels(src.data(), bytes, width, {{first, first + width + 1, first + 2 * (width + 1)}});
        int wrong = 0;
        for (int c = 0; c < 3; ++c)
          for (int x = 0; x <= width; ++x) wrong += first[c * (width + 1) + x] != (x < width ? src[x * bytes + c] : -1);
        CHECK(wrong == 0);
      }
  }
}

TEST_CASE("a row is resized to the exact sums of its samples") {
  struct Size {
    int from, to, first, count;
  };
  for (const auto& platform : platforms()) {
    CAPTURE(platform.name);
    for (const auto& [from, to, first, count] : {Size{4000, 341, 0, 341},
                                                 {100, 33, 5, 20},
                                                 {17, 16, 0, 16},
                                                 {7, 90, 0, 90},
                                                 {1, 5, 0, 5},
                                                 {640, 1, 0, 1},
                                                 {33, 8, 7, 1}})
      for (const Resampling filter : {Resampling::nearest, Resampling::box, Resampling::bicubic, Resampling::lanczos})
        for (const int channels : {1, 3}) {
          CAPTURE(from);
          CAPTURE(to);
          const AxisFilter axis = make_axis_filter(from, to, first, count, filter);
          const SplitWeights weights = split(axis);
          const std::ptrdiff_t pitch = axis.end() - axis.begin() + filter_block;
          Random random(3);
          const auto bytes = random.bytes(static_cast<std::size_t>(pitch * channels));
          std::vector<std::int16_t> planes(bytes.begin(), bytes.end());
          for (std::size_t i = 0; i < planes.size(); i += 3) planes[i] = 255;
          std::vector<std::int32_t> sums(static_cast<std::size_t>(count * channels) + 1);
          platform.kernels.resize_row(planes.data(), pitch, channels, axis, weights, sums.data());
          int wrong = 0;
          for (int i = 0; i < count; ++i)
            for (int c = 0; c < channels; ++c) {
              const FilterSpan span = axis.spans[static_cast<std::size_t>(i)];
              std::int64_t sum = 0;
              for (int k = 0; k < span.count; ++k)
                sum += std::int64_t{axis.row(i)[k]} * planes[c * pitch + span.first - axis.begin() + k];
              wrong += sums[static_cast<std::size_t>(i * channels + c)] != sum;
            }
          CHECK(wrong == 0);
        }
  }
}

TEST_CASE("rows are blended into rounded samples, and nothing beyond them is read or written") {
  for (const auto& platform : platforms()) {
    CAPTURE(platform.name);
    for (const int reduced : {1, 2, 40})
      for (const std::size_t width : {1u, 15u, 16u, 17u, 31u, 32u, 33u, 47u, 48u, 49u, 100u, 1023u}) {
        CAPTURE(reduced);
        CAPTURE(width);
        // The weights of a sharp filter: some are negative, and sums leave 0 … 255 both ways.
        const AxisFilter axis = make_axis_filter(4 * reduced, 4, 1, 1, Resampling::lanczos);
        const int count = axis.spans[0].count;
        Random random(static_cast<unsigned>(width));
        std::vector<std::vector<std::uint8_t>> rows;
        std::vector<const std::uint8_t*> taps;
        for (int k = 0; k < count; ++k) {
          rows.push_back(random.bytes(width));
          for (auto& sample : rows.back()) sample = axis.row(0)[k] > 0 ? sample | 192 : sample & 63;
          if (k % 2 == 0) rows.back()[width / 2] = axis.row(0)[k] > 0 ? 0 : 255;
        }
        for (const auto& row : rows) taps.push_back(row.data());
        std::vector<std::uint8_t> dst(width + 1, 77);
        platform.kernels.blend_rows(taps.data(), axis.row(0), count, dst.data(), width);
        int wrong = dst[width] != 77;
        for (std::size_t x = 0; x < width; ++x) {
          std::int64_t sum = resize_rounding;
          for (int k = 0; k < count; ++k) sum += std::int64_t{axis.row(0)[k]} * rows[static_cast<std::size_t>(k)][x];
          wrong += dst[x] != std::clamp<std::int64_t>(sum >> resize_fraction_bits, 0, 255);
        }
        CHECK(wrong == 0);
      }
  }
}

// PNM: P5 (grey) and P6 (colour), the binary forms with one byte per sample.
#include <cmath>
#include <cstring>

#include "codec.hpp"

namespace vitrail::codec {
namespace {

bool is_space(std::uint8_t byte) { return byte == ' ' || (byte >= '\t' && byte <= '\r'); }

// The next number of the header; blanks and # comments before it are skipped. −1 when there is none below 10^7.
std::int64_t next_number(Bytes file, std::size_t& at) {
  for (; at < file.size() && (is_space(file[at]) || file[at] == '#'); ++at) {
    if (file[at] == '#')
      while (at + 1 < file.size() && file[at] != '\n' && file[at] != '\r') ++at;
  }
  std::int64_t value = 0;
  const std::size_t start = at;
  for (; at < file.size() && file[at] >= '0' && file[at] <= '9'; ++at) {
    value = value * 10 + (file[at] - '0');
    if (value >= 10'000'000) return -1;
  }
  return at == start ? -1 : value;
}

}  // namespace

Result<Image> decode_pnm(Bytes file) {
  const int channels = file[1] == '6' ? 3 : 1;
  std::size_t at = 2;
  const std::int64_t width = next_number(file, at), height = next_number(file, at), maximum = next_number(file, at);
  if (width < 0 || height < 0 || maximum < 0)
    return Error{ErrorCode::bad_file, "damaged PNM: the header must hold width, height and the largest sample"};
  if (const Status size = check_size(static_cast<std::uint64_t>(width), static_cast<std::uint64_t>(height)); !size)
    return size.error();
  if (maximum < 1 || maximum > 255)
    return Error{ErrorCode::unsupported,
                 "PNM whose largest sample is " + std::to_string(maximum) + "; 1 to 255 are read"};

  const auto samples = static_cast<std::size_t>(width) * static_cast<std::size_t>(channels);
  const std::size_t expected = samples * static_cast<std::size_t>(height);
  const std::size_t found = at < file.size() ? file.size() - at - 1 : 0;  // one blank ends the header
  if (found < expected)
    return Error{ErrorCode::bad_file,
                 "damaged PNM: " + std::to_string(found) + " bytes of pixels, expected " + std::to_string(expected)};
  if (!is_space(file[at])) return Error{ErrorCode::bad_file, "damaged PNM: no blank between header and pixels"};

  std::uint8_t scaled[256];
  for (int v = 0; v < 256; ++v)  // ties to even, as Python's round()
    scaled[v] = static_cast<std::uint8_t>(std::fmin(255.0, std::nearbyint(v * 255.0 / static_cast<double>(maximum))));
  Image image(static_cast<int>(width), static_cast<int>(height), PixelFormat::rgb8);
  const std::uint8_t* src = file.data() + at + 1;
  for (int y = 0; y < image.height(); ++y, src += samples) {
    std::uint8_t* dst = image.row(y);
    if (channels == 1)
      gray_to_rgb(src, dst, image.width());
    else
      std::memcpy(dst, src, samples);
    if (maximum != 255)
      for (std::size_t i = 0; i < image.row_bytes(); ++i) dst[i] = scaled[dst[i]];
  }
  return image;
}

}  // namespace vitrail::codec

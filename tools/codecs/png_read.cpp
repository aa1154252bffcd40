// PNG through libpng's low-level interface. libpng reports errors by longjmp, so the functions that call it between
// setjmp and longjmp hold plain data only; objects with destructors live in decode_png(), which is never jumped over.
#include "codec.hpp"

#ifdef VITRAIL_HAS_PNG
#include <algorithm>
#include <csetjmp>
#include <cstdio>
#include <cstring>

#include <png.h>

namespace vitrail::codec {
namespace {

struct Decoder {
  png_structp png = nullptr;
  png_infop info = nullptr;
  Bytes file;
  std::size_t offset = 0;  // bytes of `file` read
  std::jmp_buf escape{};
  char message[256] = "";

  // Of the picture, from its header.
  std::uint32_t width = 0, height = 0;
  int depth = 0, color = 0, passes = 1;
  std::size_t row_bytes = 0;       // of one row as libpng hands it out
  std::uint8_t palette[256][3]{};  // entries the file does not have are black, as in Pillow
};

[[noreturn]] void fail(png_structp png, png_const_charp message) {
  auto& decoder = *static_cast<Decoder*>(png_get_error_ptr(png));
  std::snprintf(decoder.message, sizeof decoder.message, "%s", message);
  std::longjmp(decoder.escape, 1);
}

void read_bytes(png_structp png, png_bytep dst, std::size_t size) {
  auto& decoder = *static_cast<Decoder*>(png_get_io_ptr(png));
  if (size > decoder.file.size() - decoder.offset) png_error(png, "the file ends too early");
  std::memcpy(dst, decoder.file.data() + decoder.offset, size);
  decoder.offset += size;
}

bool read_header(Decoder& d) {
  if (setjmp(d.escape)) return false;
  d.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &d, fail, [](png_structp, png_const_charp) {});
  if (d.png != nullptr) d.info = png_create_info_struct(d.png);
  if (d.info == nullptr) {
    std::snprintf(d.message, sizeof d.message,
                  "libpng cannot start: out of memory or another version than at build time");
    return false;
  }
  png_set_read_fn(d.png, &d, read_bytes);
  // libpng's own limit is a million a side; check_size() speaks in our words.
  png_set_user_limits(d.png, 0x7fffffff, 0x7fffffff);
  png_set_benign_errors(d.png, 1);
  png_set_crc_action(d.png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);  // in chunks without pixels, too, as Pillow does
#ifdef PNG_READ_CHECK_FOR_INVALID_INDEX_SUPPORTED
  png_set_check_for_invalid_index(d.png, 0);
#endif
  png_read_info(d.png, d.info);
  png_get_IHDR(d.png, d.info, &d.width, &d.height, &d.depth, &d.color, nullptr, nullptr, nullptr);
  return true;
}

// Asks libpng for one byte per sample, whole bytes per pixel; 16-bit grey stays 16 bit because it is clipped, not
// shifted.
bool start_pixels(Decoder& d) {
  if (setjmp(d.escape)) return false;
  if (d.depth < 8 && d.color == PNG_COLOR_TYPE_GRAY) png_set_expand_gray_1_2_4_to_8(d.png);
  if (d.depth < 8 && d.color == PNG_COLOR_TYPE_PALETTE) png_set_packing(d.png);
  if (d.depth == 16 && d.color != PNG_COLOR_TYPE_GRAY) png_set_strip_16(d.png);
  png_colorp entries = nullptr;
  int count = 0;
  if (d.color == PNG_COLOR_TYPE_PALETTE && png_get_PLTE(d.png, d.info, &entries, &count)) {
    for (int i = 0; i < std::min(count, 256); ++i) {
      d.palette[i][0] = entries[i].red;
      d.palette[i][1] = entries[i].green;
      d.palette[i][2] = entries[i].blue;
    }
  }
  d.passes = png_set_interlace_handling(d.png);
  png_read_update_info(d.png, d.info);
  d.row_bytes = png_get_rowbytes(d.png, d.info);
  return true;
}

void to_rgb(const Decoder& d, const std::uint8_t* src, std::uint8_t* dst) {
  const int width = static_cast<int>(d.width);
  switch (d.color) {
    case PNG_COLOR_TYPE_GRAY:
      if (d.depth < 16) return gray_to_rgb(src, dst, width);
      for (int x = 0; x < width; ++x, dst += 3) dst[0] = dst[1] = dst[2] = src[2 * x] ? 255 : src[2 * x + 1];
      return;
    case PNG_COLOR_TYPE_PALETTE:
      for (int x = 0; x < width; ++x) std::memcpy(dst + 3 * x, d.palette[src[x]], 3);
      return;
    case PNG_COLOR_TYPE_GRAY_ALPHA:
      for (int x = 0; x < width; ++x, dst += 3) dst[0] = dst[1] = dst[2] = src[2 * x];
      return;
    case PNG_COLOR_TYPE_RGB_ALPHA:
      for (int x = 0; x < width; ++x) std::memcpy(dst + 3 * x, src + 4 * x, 3);
      return;
    default:
      std::memcpy(dst, src, static_cast<std::size_t>(width) * 3);
  }
}

// `rows` holds one row, or the whole picture when it is interlaced: later passes fill in what earlier ones left.
bool read_pixels(Decoder& d, std::uint8_t* rows, std::uint8_t* dst, std::size_t dst_row_bytes) {
  if (setjmp(d.escape)) return false;
  for (int pass = 0; pass < d.passes; ++pass) {
    for (std::uint32_t y = 0; y < d.height; ++y) {
      std::uint8_t* row = d.passes > 1 ? rows + y * d.row_bytes : rows;
      png_read_row(d.png, row, nullptr);
      if (pass == d.passes - 1) to_rgb(d, row, dst + y * dst_row_bytes);
    }
  }
  png_read_end(d.png, nullptr);
  return true;
}

}  // namespace

Result<Image> decode_png(Bytes file) {
  Decoder decoder;
  decoder.file = file;
  struct Cleanup {
    Decoder& decoder;
    ~Cleanup() {
      if (decoder.png != nullptr) png_destroy_read_struct(&decoder.png, &decoder.info, nullptr);
    }
  } cleanup{decoder};
  const auto damaged = [&] { return Error{ErrorCode::bad_file, std::string("damaged PNG: ") + decoder.message}; };

  if (!read_header(decoder)) return damaged();
  if (const Status size = check_size(decoder.width, decoder.height); !size) return size.error();
  if (!start_pixels(decoder)) return damaged();
  Image image(static_cast<int>(decoder.width), static_cast<int>(decoder.height), PixelFormat::rgb8);
  std::vector<std::uint8_t> rows(decoder.row_bytes * (decoder.passes > 1 ? decoder.height : 1));
  if (!read_pixels(decoder, rows.data(), image.row(0), image.row_bytes())) return damaged();
  return image;
}

}  // namespace vitrail::codec

#else

namespace vitrail::codec {
Result<Image> decode_png(Bytes) { return Error{ErrorCode::unsupported, "this build has no PNG codec"}; }
}  // namespace vitrail::codec

#endif

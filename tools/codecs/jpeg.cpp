// JPEG through libjpeg-turbo. libjpeg reports errors by longjmp, so every function that calls it between setjmp and
// longjmp holds plain data only; objects with destructors live in decode_jpeg(), which is never jumped over.
#include "codec.hpp"

#ifdef VITRAIL_HAS_JPEG
#include <csetjmp>
#include <cstdio>  // jpeglib.h needs FILE

#include <jerror.h>
#include <jpeglib.h>

namespace vitrail::codec {
namespace {

// Real files have about ten scans; a crafted progressive one can have thousands, each over the whole picture.
constexpr int kMaxScans = 500;

struct Decoder {
  jpeg_decompress_struct info{};
  jpeg_error_mgr errors{};
  jpeg_progress_mgr progress{};
  std::jmp_buf escape{};
  char message[JMSG_LENGTH_MAX] = "";
};

Decoder& decoder_of(j_common_ptr info) { return *static_cast<Decoder*>(info->client_data); }

[[noreturn]] void fail(j_common_ptr info) {
  Decoder& decoder = decoder_of(info);
  info->err->format_message(info, decoder.message);
  std::longjmp(decoder.escape, 1);
}

// libjpeg goes on after damage and fills the rest with grey. A grey half of a picture is a wrong answer, so it ends
// here; warnings about anything but missing or damaged pixels are harmless.
void on_message(j_common_ptr info, int level) {
  if (level >= 0) return;
  switch (info->err->msg_code) {
    case JWRN_JPEG_EOF:
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_MUST_RESYNC:
      fail(info);
    default:
      break;
  }
}

void on_progress(j_common_ptr info) {
  if (!info->is_decompressor) return;
  if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number <= kMaxScans) return;
  Decoder& decoder = decoder_of(info);
  std::snprintf(decoder.message, sizeof decoder.message, "more than %d scans", kMaxScans);
  std::longjmp(decoder.escape, 1);
}

bool read_header(Decoder& decoder, const unsigned char* data, unsigned long size) {
  decoder.info.err = jpeg_std_error(&decoder.errors);
  decoder.errors.error_exit = fail;
  decoder.errors.emit_message = on_message;
  decoder.errors.output_message = [](j_common_ptr) {};
  decoder.info.client_data = &decoder;
  if (setjmp(decoder.escape)) return false;
  jpeg_create_decompress(&decoder.info);  // keeps err and client_data
  decoder.progress.progress_monitor = on_progress;
  decoder.info.progress = &decoder.progress;
  jpeg_mem_src(&decoder.info, data, size);
  jpeg_read_header(&decoder.info, TRUE);
  return true;
}

// 255 · (1 − c)(1 − k) in Pillow's arithmetic, for inverted samples (255 means no ink), as Adobe writes them and as
// Pillow takes every CMYK JPEG to be.
inline std::uint8_t without_ink(int inverted, int inverted_black) {
  const int ink = 255 - inverted;
  const int product = ink * inverted_black + 128;
  return static_cast<std::uint8_t>(inverted_black - (((product >> 8) + product) >> 8));
}

// `row` holds one row of four samples per pixel when the file is CMYK or YCCK, else it is not used.
bool read_pixels(Decoder& decoder, std::uint8_t* dst, std::size_t dst_row_bytes, std::uint8_t* row) {
  jpeg_decompress_struct& info = decoder.info;
  if (setjmp(decoder.escape)) return false;
  jpeg_start_decompress(&info);
  while (info.output_scanline < info.output_height) {
    std::uint8_t* pixels = dst + info.output_scanline * dst_row_bytes;
    JSAMPROW target = info.out_color_space == JCS_CMYK ? row : pixels;
    jpeg_read_scanlines(&info, &target, 1);
    if (info.out_color_space != JCS_CMYK) continue;
    for (JDIMENSION x = 0; x < info.output_width; ++x) {
      for (int c = 0; c < 3; ++c) pixels[3 * x + c] = without_ink(row[4 * x + c], row[4 * x + 3]);
    }
  }
  jpeg_finish_decompress(&info);
  return true;
}

}  // namespace

Result<Image> decode_jpeg(Bytes file) {
  Decoder decoder;
  struct Cleanup {
    jpeg_decompress_struct& info;
    ~Cleanup() { jpeg_destroy_decompress(&info); }  // does nothing where creation failed
  } cleanup{decoder.info};
  const auto damaged = [&] { return Error{ErrorCode::bad_file, std::string("damaged JPEG: ") + decoder.message}; };

  if (!read_header(decoder, file.data(), static_cast<unsigned long>(file.size()))) return damaged();
  jpeg_decompress_struct& info = decoder.info;
  if (const Status size = check_size(info.image_width, info.image_height); !size) return size.error();
  switch (info.num_components) {
    case 1:
    case 3:
      info.out_color_space = JCS_RGB;
      break;
    case 4:
      info.out_color_space = JCS_CMYK;
      break;
    default:
      return Error{ErrorCode::unsupported,
                   "JPEG with " + std::to_string(info.num_components) + " components; 1, 3 or 4 are read"};
  }

  Image image(static_cast<int>(info.image_width), static_cast<int>(info.image_height), PixelFormat::rgb8);
  std::vector<std::uint8_t> row(info.num_components == 4 ? info.image_width * std::size_t{4} : 0);
  if (!read_pixels(decoder, image.row(0), image.row_bytes(), row.data())) return damaged();
  return image;
}

}  // namespace vitrail::codec

#else

namespace vitrail::codec {
Result<Image> decode_jpeg(Bytes) { return Error{ErrorCode::unsupported, "this build has no JPEG codec"}; }
}  // namespace vitrail::codec

#endif

// JPEG through libjpeg-turbo. libjpeg reports errors by longjmp, so every function that calls it between setjmp and
// longjmp holds plain data only; objects with destructors live in Reader and above, which are never jumped over.
#include "codec.hpp"

#ifdef VITRAIL_HAS_JPEG
#include <algorithm>
#include <csetjmp>
#include <cstdio>  // jpeglib.h needs FILE

#include <jpeglib.h>

#include <jerror.h>  // which messages there are, jpeglib.h's macros say

namespace vitrail::codec {
namespace {

// Real files have about ten scans; a crafted progressive one can have thousands, each over the whole picture.
constexpr int kMaxScans = 500;
constexpr std::uint64_t kMaxScannedPixels = std::uint64_t{1} << 32;  // 16 scans of the largest picture

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
// here. Other warnings say nothing about pixels, or are also given of what sound cameras write (bytes before a marker).
void on_message(j_common_ptr info, int level) {
  if (level >= 0) return;
  switch (info->err->msg_code) {
    case JWRN_JPEG_EOF:
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_MUST_RESYNC:
#if JPEG_LIB_VERSION >= 70 || defined(C_ARITH_CODING_SUPPORTED) || defined(D_ARITH_CODING_SUPPORTED)
    case JWRN_ARITH_BAD_CODE:
#endif
      fail(info);
    default:
      break;
  }
}

void on_progress(j_common_ptr info) {
  if (!info->is_decompressor) return;
  const auto& jpeg = *reinterpret_cast<j_decompress_ptr>(info);
  const std::uint64_t pixels = std::uint64_t{jpeg.image_width} * jpeg.image_height;
  const int most = static_cast<int>(std::min<std::uint64_t>(kMaxScans, kMaxScannedPixels / pixels));
  if (jpeg.input_scan_number <= most) return;
  Decoder& decoder = decoder_of(info);
  std::snprintf(decoder.message, sizeof decoder.message, "more than %d scans", most);
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

bool start(Decoder& decoder) {
  if (setjmp(decoder.escape)) return false;
  jpeg_start_decompress(&decoder.info);
  return true;
}

bool finish(Decoder& decoder) {
  if (setjmp(decoder.escape)) return false;
  jpeg_finish_decompress(&decoder.info);
  return true;
}

// `inks` has room for a row of four samples per pixel when the file is CMYK or YCCK, else it is not used.
bool read_row(Decoder& decoder, std::uint8_t* rgb, std::uint8_t* inks) {
  jpeg_decompress_struct& info = decoder.info;
  if (setjmp(decoder.escape)) return false;
  const bool cmyk = info.out_color_space == JCS_CMYK;
  JSAMPROW target = cmyk ? inks : rgb;
  jpeg_read_scanlines(&info, &target, 1);
  for (JDIMENSION x = 0; cmyk && x < info.output_width; ++x) {
    for (int c = 0; c < 3; ++c) rgb[3 * x + c] = without_ink(inks[4 * x + c], inks[4 * x + 3]);
  }
  return true;
}

// A file from its header to its last row.
class Reader {
 public:
  Reader() = default;
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  ~Reader() { jpeg_destroy_decompress(&decoder_.info); }  // does nothing where creation failed

  /// `file` must outlive the reader.
  Status open(Bytes file) {
    if (!read_header(decoder_, file.data(), static_cast<unsigned long>(file.size()))) return damaged();
    jpeg_decompress_struct& info = decoder_.info;
    if (Status size = check_size(info.image_width, info.image_height); !size) return size;
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
    inks_.resize(info.num_components == 4 ? info.image_width * std::size_t{4} : 0);
    return start(decoder_) ? Status() : damaged();
  }

  int width() const { return static_cast<int>(decoder_.info.image_width); }
  int height() const { return static_cast<int>(decoder_.info.image_height); }

  /// The next row as rgb8; with the last one the file must be at its end.
  Status next(std::uint8_t* rgb) {
    if (!read_row(decoder_, rgb, inks_.data())) return damaged();
    const bool last = decoder_.info.output_scanline == decoder_.info.output_height;
    return !last || finish(decoder_) ? Status() : damaged();
  }

 private:
  Status damaged() const {
    if (decoder_.errors.msg_code == JERR_OUT_OF_MEMORY)
      return Error{ErrorCode::out_of_memory, "not enough memory for its pixels"};
    return Error{ErrorCode::bad_file, std::string("damaged JPEG: ") + decoder_.message};
  }

  Decoder decoder_;
  std::vector<std::uint8_t> inks_;
};

class JpegRows : public RowSource {
 public:
  JpegRows(std::vector<std::uint8_t> file, std::unique_ptr<Reader> reader, std::string name)
      : RowSource(reader->width(), reader->height(), PixelFormat::rgb8),
        file_(std::move(file)),
        reader_(std::move(reader)),
        name_(std::move(name)),
        row_(static_cast<std::size_t>(width()) * 3),
        left_(height()) {}

  Result<const std::uint8_t*> next_row() override {
    if (left_ == 0) return read_before(name_);
    if (const Status status = reader_->next(row_.data()); !status) {
      left_ = 0;  // libjpeg cannot go on after damage
      return Error{status.error().code, name_ + ": " + status.error().message};
    }
    --left_;
    return static_cast<const std::uint8_t*>(row_.data());
  }

 private:
  std::vector<std::uint8_t> file_;
  std::unique_ptr<Reader> reader_;
  std::string name_;
  std::vector<std::uint8_t> row_;
  int left_;  // rows to give
};

}  // namespace

Result<Image> decode_jpeg(Bytes file, int orientation) {
  Reader reader;
  if (const Status status = reader.open(file); !status) return status.error();
  const int width = reader.width(), height = reader.height();
  if (orientation < 2 || orientation > 8) {
    Image image(width, height, PixelFormat::rgb8);
    for (int y = 0; y < height; ++y)
      if (const Status status = reader.next(image.row(y)); !status) return status.error();
    return image;
  }
  constexpr int strip = 16;
  Upright upright(width, height, PixelFormat::rgb8, orientation);
  const std::size_t row_bytes = static_cast<std::size_t>(width) * 3;
  std::vector<std::uint8_t> rows(row_bytes * strip);
  for (int y = 0; y < height; y += strip) {
    const int count = std::min(strip, height - y);
    for (int i = 0; i < count; ++i)
      if (const Status status = reader.next(rows.data() + static_cast<std::size_t>(i) * row_bytes); !status)
        return status.error();
    upright.put(y, rows.data(), count);
  }
  return upright.take();
}

Result<std::unique_ptr<RowSource>> open_jpeg(std::vector<std::uint8_t> file, std::string name) {
  auto reader = std::make_unique<Reader>();
  if (const Status status = reader->open(file); !status)
    return Error{status.error().code, name + ": " + status.error().message};
  return std::unique_ptr<RowSource>(std::make_unique<JpegRows>(std::move(file), std::move(reader), std::move(name)));
}

}  // namespace vitrail::codec

#else

namespace vitrail::codec {
Result<Image> decode_jpeg(Bytes, int) { return Error{ErrorCode::unsupported, "this build has no JPEG codec"}; }
Result<std::unique_ptr<RowSource>> open_jpeg(std::vector<std::uint8_t>, std::string name) {
  return Error{ErrorCode::unsupported, name + ": this build has no JPEG codec"};
}
}  // namespace vitrail::codec

#endif

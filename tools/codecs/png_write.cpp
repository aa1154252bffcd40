// save_png(). Like png_read.cpp, the function libpng may jump out of holds plain data only.
#include "atomic_file.hpp"
#include "codec.hpp"
#include "vitrail/codecs.hpp"

#ifdef VITRAIL_HAS_PNG
#include <cerrno>
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <new>

#include <png.h>

namespace vitrail {
namespace {

struct Encoder {
  png_structp png = nullptr;
  png_infop info = nullptr;
  std::jmp_buf escape{};
  char message[256] = "";
};

[[noreturn]] void fail(png_structp png, png_const_charp message) {
  auto& encoder = *static_cast<Encoder*>(png_get_error_ptr(png));
  std::snprintf(encoder.message, sizeof encoder.message, "%s", message);
  std::longjmp(encoder.escape, 1);
}

/// libpng's own says "Write Error" where the system says why.
void write(png_structp png, png_bytep bytes, std::size_t count) {
  auto* file = static_cast<std::FILE*>(png_get_io_ptr(png));
  if (std::fwrite(bytes, 1, count, file) != count) png_error(png, std::strerror(errno));
}

int color_type(PixelFormat format) {
  switch (format) {
    case PixelFormat::gray8:
      return PNG_COLOR_TYPE_GRAY;
    case PixelFormat::rgba8:
    case PixelFormat::bgra8:
      return PNG_COLOR_TYPE_RGB_ALPHA;
    default:
      return PNG_COLOR_TYPE_RGB;
  }
}

bool encode(Encoder& e, const ImageView& image, std::FILE* file) {
  if (setjmp(e.escape)) return false;
  e.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &e, fail, [](png_structp, png_const_charp) {});
  if (e.png != nullptr) e.info = png_create_info_struct(e.png);
  if (e.info == nullptr) {
    std::snprintf(e.message, sizeof e.message,
                  "libpng cannot start: out of memory or another version than at build time");
    return false;
  }
  png_set_write_fn(e.png, file, write, nullptr);
  png_set_IHDR(e.png, e.info, static_cast<png_uint_32>(image.width), static_cast<png_uint_32>(image.height), 8,
               color_type(image.format), PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(e.png, e.info);
  if (image.format == PixelFormat::bgr8 || image.format == PixelFormat::bgra8) png_set_bgr(e.png);
  for (int y = 0; y < image.height; ++y) png_write_row(e.png, image.row(y));
  png_write_end(e.png, nullptr);
  return true;
}

}  // namespace

Status save_png(const ImageView& image, const std::filesystem::path& path) try {
  if (const Status good = check(image); !good) return good;
  auto file = codec::AtomicFile::create(path);
  if (!file) return file.error();
  Encoder encoder;
  const bool good = encode(encoder, image, file->file());
  if (encoder.png != nullptr) png_destroy_write_struct(&encoder.png, &encoder.info);
  if (!good) return file->failed(encoder.message);
  return file->commit();
} catch (const std::bad_alloc&) {
  return codec::no_memory(path.native(), "to write it");
}

}  // namespace vitrail

#else

namespace vitrail {
Status save_png(const ImageView&, const std::filesystem::path& path) {
  return Error{ErrorCode::unsupported, path.string() + ": this build has no PNG codec"};
}
}  // namespace vitrail

#endif

// WebP through libwebp: lossy and lossless, one picture per file.
#include "codec.hpp"

#ifdef VITRAIL_HAS_WEBP
#include <webp/decode.h>

namespace vitrail::codec {
namespace {

Error damaged(VP8StatusCode status) {
  const char* why = status == VP8_STATUS_NOT_ENOUGH_DATA       ? "it is cut off"
                    : status == VP8_STATUS_UNSUPPORTED_FEATURE ? "it uses a feature that libwebp does not know"
                    : status == VP8_STATUS_SUSPENDED           ? "it is cut off"
                                                               : "its data make no sense";
  if (status == VP8_STATUS_OUT_OF_MEMORY) return {ErrorCode::out_of_memory, "not enough memory for its pixels"};
  return {ErrorCode::bad_file, std::string("damaged WebP: ") + why};
}

}  // namespace

Result<Image> decode_webp(Bytes file) {
  WebPDecoderConfig config;
  if (!WebPInitDecoderConfig(&config)) return Error{ErrorCode::unsupported, "this libwebp has another interface"};
  if (const auto status = WebPGetFeatures(file.data(), file.size(), &config.input); status != VP8_STATUS_OK)
    return damaged(status);
  if (config.input.has_animation)
    return Error{ErrorCode::unsupported, "animated WebP; files with one picture are read"};
  const int width = config.input.width, height = config.input.height;
  if (const Status size = check_size(static_cast<std::uint64_t>(width), static_cast<std::uint64_t>(height)); !size)
    return size.error();

  Image image(width, height, PixelFormat::rgb8);
  config.output.colorspace = MODE_RGB;  // alpha is dropped without blending
  config.output.is_external_memory = 1;
  config.output.u.RGBA.rgba = image.row(0);
  config.output.u.RGBA.stride = static_cast<int>(image.row_bytes());
  config.output.u.RGBA.size = image.size_bytes();
  const VP8StatusCode status = WebPDecode(file.data(), file.size(), &config);
  WebPFreeDecBuffer(&config.output);
  if (status != VP8_STATUS_OK) return damaged(status);
  return image;
}

}  // namespace vitrail::codec

#else

namespace vitrail::codec {
Result<Image> decode_webp(Bytes) { return Error{ErrorCode::unsupported, "this build has no WebP codec"}; }
}  // namespace vitrail::codec

#endif

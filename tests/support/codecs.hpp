// What this build of the codecs reads: everything, or in a cross build perhaps only what needs no library.
#pragma once

#include <filesystem>

namespace vitrail::test {

#ifdef VITRAIL_HAS_JPEG
inline constexpr bool has_jpeg = true;
#else
inline constexpr bool has_jpeg = false;
#endif
#ifdef VITRAIL_HAS_PNG
inline constexpr bool has_png = true;
#else
inline constexpr bool has_png = false;
#endif
#ifdef VITRAIL_HAS_WEBP
inline constexpr bool has_webp = true;
#else
inline constexpr bool has_webp = false;
#endif
inline constexpr bool has_all_codecs = has_jpeg && has_png && has_webp;

/// Whether this build has the codec of a file named so.
inline bool has_codec(const std::filesystem::path& file) {
  const std::filesystem::path extension = file.extension();
  return extension == ".jpg" ? has_jpeg : extension == ".png" ? has_png : extension == ".webp" ? has_webp : true;
}

}  // namespace vitrail::test

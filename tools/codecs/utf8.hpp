// Texts that come from files: where their letters end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace vitrail::codec {

/// Bytes of the letter at the front of `text`, or 0 where there is none of UTF-8 as JSON's readers want it: in the
/// shortest form, and no halves of UTF-16's pairs.
inline std::size_t utf8_length(std::string_view text) {
  constexpr std::uint32_t first_of_length[] = {0, 0x80, 0x800, 0x10000};
  if (text.empty()) return 0;
  const auto lead = static_cast<unsigned char>(text[0]);
  if (lead < 0x80) return 1;
  if (lead < 0xc2 || lead > 0xf4) return 0;
  const std::size_t more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
  if (text.size() <= more) return 0;
  std::uint32_t point = lead & (0x3fu >> more);
  for (std::size_t i = 1; i <= more; ++i) {
    const auto next = static_cast<unsigned char>(text[i]);
    if ((next & 0xc0) != 0x80) return 0;
    point = point << 6 | (next & 0x3f);
  }
  return point < first_of_length[more] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000) ? 0 : 1 + more;
}

}  // namespace vitrail::codec

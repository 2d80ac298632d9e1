// See picture.h. The columns are those of the first ktap's README (2013).
#include "runtime/picture.h"

#include <algorithm>
#include <cstdint>

namespace ktap::runtime {
namespace {

struct Range {
  uint32_t first;
  uint32_t last;
};
// Of Unicode 15's EastAsianWidth.txt (W, F) and its marks, in blocks: an unassigned code point
// among them counts as its neighbours do.
constexpr Range kWide[] = {{0x1100, 0x115f},   {0x2e80, 0x303e},   {0x3041, 0x33ff},
                           {0x3400, 0x4dbf},   {0x4e00, 0xa4cf},   {0xa960, 0xa97f},
                           {0xac00, 0xd7a3},   {0xf900, 0xfaff},   {0xfe30, 0xfe6f},
                           {0xff01, 0xff60},   {0xffe0, 0xffe6},   {0x1f300, 0x1f320},
                           {0x1f400, 0x1f43e}, {0x1f600, 0x1f64f}, {0x1f680, 0x1f6c5},
                           {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd}};
constexpr Range kOnto[] = {{0x300, 0x36f},   {0x200b, 0x200f}, {0x20d0, 0x20ff}, {0x302a, 0x302d},
                           {0x3099, 0x309a}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}};

template <size_t kCount>
bool is_in(const Range (&ranges)[kCount], uint32_t code) {
  return std::any_of(ranges, ranges + kCount,
                     [&](Range range) { return code >= range.first && code <= range.last; });
}

/// A byte of UTF-8 that begins no code point.
bool is_inner(char byte) { return (byte & 0xc0) == 0x80; }

/// Of the code point that begins at byte `i`.
size_t columns_at(std::string_view text, size_t i) {
  const auto lead = static_cast<unsigned char>(text[i]);
  if (lead < 0xcc) return 1;  // up to U+02FF, or none
  const size_t more = lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
  uint32_t code = lead & (0x3fU >> more);
  for (size_t k = 1; k <= more; ++k) {
    if (i + k >= text.size() || !is_inner(text[i + k])) return 1;
    code = code << 6 | (static_cast<unsigned char>(text[i + k]) & 0x3fU);
  }
  if (is_in(kOnto, code)) return 0;
  return is_in(kWide, code) ? 2 : 1;
}

void append_key(std::string& out, std::string_view text) {
  const size_t width = text_columns(text);
  out.append(width < kPictureKeyColumns ? kPictureKeyColumns - width : 0, ' ');
  out.append(text).append(" |");
}

}  // namespace

size_t text_columns(std::string_view text) {
  size_t columns = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (!is_inner(text[i])) columns += columns_at(text, i);
  }
  return columns;
}

std::string_view first_columns(std::string_view text, size_t count) {
  size_t columns = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (is_inner(text[i])) continue;
    columns += columns_at(text, i);
    if (columns > count) return text.substr(0, i);
  }
  return text;
}

void append_picture_header(std::string& out) {
  out.append(kPictureKeyColumns - 6, ' ');
  out += "value ------------- Distribution ------------- count\n";
}

void append_picture_row(std::string& out, std::string_view key, int bar, std::string_view count) {
  append_key(out, key);
  const int drawn = std::min(bar, kPictureBarColumns - 1);  // a blank before the count
  out.append(static_cast<size_t>(drawn), '@');
  out.append(static_cast<size_t>(kPictureBarColumns - drawn), ' ').append(count);
  out += '\n';
}

void append_picture_more(std::string& out) {
  append_key(out, "...");
  out += '\n';
}

}  // namespace ktap::runtime

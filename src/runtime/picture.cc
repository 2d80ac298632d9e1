// See picture.h. The columns are those of the first ktap's README (2013).
#include "runtime/picture.h"

#include <algorithm>

namespace ktap::runtime {
namespace {

void append_key(std::string& out, std::string_view text) {
  const size_t width = text_columns(text);
  out.append(width < kPictureKeyColumns ? kPictureKeyColumns - width : 0, ' ');
  out.append(text).append(" |");
}

}  // namespace

size_t text_columns(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

std::string_view first_columns(std::string_view text, size_t count) {
  size_t seen = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if ((text[i] & 0xc0) != 0x80 && seen++ == count) return text.substr(0, i);
  }
  return text;
}

void append_picture_header(std::string& out) {
  out.append(kPictureKeyColumns - 6, ' ');
  out += "value ------------- Distribution ------------- count\n";
}

void append_picture_row(std::string& out, std::string_view key, int bar, std::string_view count) {
  append_key(out, key);
  out.append(static_cast<size_t>(bar), '@');
  out.append(static_cast<size_t>(kPictureBarColumns - bar), ' ').append(count);
  out += '\n';
}

void append_picture_more(std::string& out) {
  append_key(out, "...");
  out += '\n';
}

}  // namespace ktap::runtime

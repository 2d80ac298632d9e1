// The rows that pictures of distributions are made of (language, section 6): keys right-aligned in
// 32 columns, bars of `@` in 38 of 39, then what was counted.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace ktap::runtime {

constexpr size_t kPictureKeyColumns = 32;
constexpr int kPictureBarColumns = 39;

/// Columns that UTF-8 text takes on a terminal: two a wide character (CJK, most pictographs), none
/// one that is put onto the one before, one any other and what is no UTF-8.
size_t text_columns(std::string_view text);
/// The first `count` columns of it.
std::string_view first_columns(std::string_view text, size_t count);
void append_picture_header(std::string& out);
/// ` KEY |@@@   COUNT` and a newline. Requires: bar ≤ kPictureBarColumns.
void append_picture_row(std::string& out, std::string_view key, int bar, std::string_view count);
/// The row that stands for all that is not shown.
void append_picture_more(std::string& out);

}  // namespace ktap::runtime

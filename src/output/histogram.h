// The picture of print_hist: a table of numbers as bars, the largest first (language, section 6).
#pragma once

#include <cstdint>
#include <string>

#include "runtime/table.h"

namespace ktap::output {

/// Rows that print_hist shows when it is not told.
constexpr int64_t kDefaultHistogramRows = 20;

/// Appends the picture: header, at most `rows` rows, and a row `...` when more exist. False and
/// `error` set when a value is no number. The caller has brought the table up to date. Shape: keys
/// right-aligned in 32 columns, bars in 39, counts at once behind.
bool print_hist(const runtime::Table& table, int64_t rows, std::string& out, std::string* error);

/// A key as the picture shows it: text over 32 columns is cut to its first 28 and `...`.
std::string histogram_key(runtime::Value key);

}  // namespace ktap::output

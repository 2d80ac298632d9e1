// The pictures of print_hist: a table of numbers as bars, the largest first; an aggregate, a
// histogram or a table of these as the distribution of what was sampled (language, section 6).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "runtime/table.h"

namespace ktap::output {

/// Rows that print_hist shows of numbers when it is not told.
constexpr int64_t kDefaultHistogramRows = 20;

/// Appends the picture: of numbers a header, at most `rows` rows (kDefaultHistogramRows without),
/// and a row `...` when more exist; of aggregates and histograms one distribution a key, in the
/// order of the keys, the `rows` ones with the most samples (all without). False and `error` set
/// when a value is something else, or numbers stand beside aggregates. The caller has brought the
/// table up to date. Shape: keys right-aligned in 32 columns, bars in 38 of 39, then counts.
bool print_hist(const runtime::Table& table, std::optional<int64_t> rows, std::string& out,
                std::string* error);

/// The same of one aggregate (by powers of two) or histogram. False: it is neither.
bool print_distribution(runtime::Value value, std::string& out);

/// A key as a row shows it: text over 32 columns is cut to its first 28 and `...`.
std::string histogram_key(runtime::Value key);

}  // namespace ktap::output

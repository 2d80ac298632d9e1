// Heat maps: how a distribution changes over time. The data is a table that is keyed by time slots,
// `lat[ns / 1s] <<< us`: a column a slot, a row a bucket, the colour says how many samples. Two
// forms: text, with colours where a terminal shows them, and a picture in SVG.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/table.h"

namespace ktap::output {

/// Columns of the text, and of the picture: with more slots than that each stands for several.
constexpr size_t kHeatMapTextColumns = 64;
constexpr size_t kHeatMapSvgColumns = 600;
/// Rows, likewise for buckets.
constexpr size_t kHeatMapTextRows = 48;
constexpr size_t kHeatMapSvgRows = 96;
/// Steps of colour.
constexpr unsigned kHeatMapSteps = 9;

struct HeatMap {
  int64_t first_column = 0;                  ///< its first slot is so many times slots_per_column
  int64_t slots_per_column = 1;              ///< 1, 2 or 5 times a power of ten
  std::vector<std::string> labels;           ///< of the rows, the lowest first
  std::vector<std::vector<uint64_t>> cells;  ///< by column, then row; those without a slot too
  uint64_t greatest = 0;                     ///< of the cells
  uint64_t total = 0;

  /// 0 for no samples, 1 for few, kHeatMapSteps for the greatest: by the square root.
  unsigned step(uint64_t count) const;
  /// The first slot of a column.
  int64_t slot_of(size_t column) const;
};

/// The caller has brought the table up to date. False and `error` where a key is no integer or the
/// values are not all aggregates (drawn by powers of two) or all histograms of one kind.
bool read_heatmap(const runtime::Table& table, size_t most_columns, size_t most_rows, HeatMap* map,
                  std::string* error);

/// The greatest values at the top. `colour`: by escape sequences of 256 colours, else by letters.
std::string heatmap_text(const HeatMap& map, bool colour);
std::string heatmap_svg(const HeatMap& map, std::string_view title);

}  // namespace ktap::output

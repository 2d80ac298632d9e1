// See heatmap.h.
#include "output/heatmap.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/printable.h"
#include "runtime/aggregate.h"
#include "runtime/distribution.h"
#include "runtime/histogram.h"
#include "runtime/picture.h"
#include "runtime/text.h"
#include "runtime/wide.h"

namespace ktap::output {
namespace {

using runtime::Distribution;
using runtime::Type;
using runtime::Value;
using runtime::Wide;

constexpr std::string_view kLetters = " .:-=+*#%@";
static_assert(kLetters.size() == kHeatMapSteps + 1);
// From violet over red to yellow, of the 256 colours of terminals.
constexpr int kColours[] = {0, 54, 91, 127, 163, 197, 203, 209, 215, 221};
static_assert(std::size(kColours) == kHeatMapSteps + 1);
constexpr size_t kColumnsPerMark = 10;
constexpr size_t kMostBeyond = 6;  // of a mark, to the right of the cells

struct Slot {
  int64_t number;
  Distribution distribution;
};

std::string key_text(Value key) { return printable(runtime::to_text(key)); }

bool same_kind(const Distribution& a, const Distribution& b) {
  return a.kind == b.kind && (a.kind != Distribution::Kind::Linear || a.shape == b.shape);
}

bool read_slots(const runtime::Table& table, std::vector<Slot>& slots, std::string* error) {
  for (const auto& [key, value] : table.entries()) {
    if (!key.is_integer()) {
      *error = fmt::format("print_heatmap takes integers as keys, the time, got {}",
                           runtime::type_phrase(key.type));
      return false;
    }
    if (value.type == Type::Aggregate) {
      value.aggregate()->refresh();
      slots.push_back({key.integer, value.aggregate()->pow2()});
    } else if (value.type == Type::Histogram) {
      slots.push_back({key.integer, value.histogram()->distribution()});
    } else {
      *error = fmt::format("print_heatmap draws aggregates and histograms, the value of '{}' is {}",
                           key_text(key), runtime::type_phrase(value.type));
      return false;
    }
    if (!same_kind(slots.front().distribution, slots.back().distribution)) {
      *error = fmt::format("print_heatmap draws histograms of one kind, that of '{}' is another",
                           key_text(key));
      return false;
    }
  }
  std::sort(slots.begin(), slots.end(),
            [](const Slot& a, const Slot& b) { return a.number < b.number; });
  return true;
}

Wide floor_div(Wide number, Wide by) {
  const Wide quotient = number / by;
  return number % by < 0 ? quotient - 1 : quotient;
}

/// The least of 1, 2, 5, 10, 20 … with which first…last take no more than `most` columns.
int64_t step_for(int64_t first, int64_t last, size_t most) {
  const auto fits = [&](Wide step) {
    return floor_div(last, step) - floor_div(first, step) + 1 <= static_cast<Wide>(most);
  };
  for (Wide power = 1;; power *= 10) {
    for (const int factor : {1, 2, 5}) {
      if (fits(power * factor)) return static_cast<int64_t>(power * factor);
    }
  }
}

/// Of `count` buckets from `bucket` on.
std::string row_label(const Distribution& like, int bucket, int count) {
  if (count == 1) return like.label(bucket);
  return like.label(bucket) + " to " + like.label(bucket + count - 1);
}

}  // namespace

unsigned HeatMap::step(uint64_t count) const {
  if (count == 0) return 0;
  unsigned step = 1;
  const auto reaches = [&](unsigned s) {
    return static_cast<Wide>(count) * (kHeatMapSteps * kHeatMapSteps) >
           static_cast<Wide>(greatest) * (s * s);
  };
  while (step < kHeatMapSteps && reaches(step)) ++step;
  return step;
}

int64_t HeatMap::slot_of(size_t column) const {
  const Wide slot =
      (static_cast<Wide>(first_column) + static_cast<Wide>(column)) * slots_per_column;
  // The first column may begin before the least slot that there is.
  return static_cast<int64_t>(std::max(slot, static_cast<Wide>(INT64_MIN)));
}

bool read_heatmap(const runtime::Table& table, size_t most_columns, size_t most_rows, HeatMap* map,
                  std::string* error) {
  std::vector<Slot> slots;
  if (!read_slots(table, slots, error)) return false;
  std::erase_if(slots, [](const Slot& slot) { return slot.distribution.counts.empty(); });
  if (slots.empty()) return true;
  int low = slots[0].distribution.counts.front().bucket;
  int high = low;
  for (const Slot& slot : slots) {
    low = std::min(low, slot.distribution.counts.front().bucket);
    high = std::max(high, slot.distribution.counts.back().bucket);
  }
  const int merged = (high - low) / static_cast<int>(most_rows) + 1;
  const size_t rows = static_cast<size_t>((high - low) / merged) + 1;
  for (int bucket = low; bucket <= high; bucket += merged)
    map->labels.push_back(
        row_label(slots[0].distribution, bucket, std::min(merged, high - bucket + 1)));
  const int64_t step = step_for(slots.front().number, slots.back().number, most_columns);
  const Wide first = floor_div(slots.front().number, step);
  const Wide columns = floor_div(slots.back().number, step) - first + 1;
  map->slots_per_column = step;
  map->first_column = static_cast<int64_t>(first);
  map->cells.assign(static_cast<size_t>(columns), std::vector<uint64_t>(rows, 0));
  for (const Slot& slot : slots) {
    auto& column = map->cells[static_cast<size_t>(floor_div(slot.number, step) - first)];
    for (const runtime::BucketCount& bucket : slot.distribution.counts) {
      uint64_t& cell = column[static_cast<size_t>((bucket.bucket - low) / merged)];
      cell += bucket.count;
      map->greatest = std::max(map->greatest, cell);
      map->total += bucket.count;
    }
  }
  return true;
}

std::string heatmap_text(const HeatMap& map, bool colour) {
  if (map.cells.empty()) return "no samples\n";
  size_t width = 0;
  for (const std::string& label : map.labels) width = std::max(width, runtime::text_columns(label));
  std::string out;
  for (size_t row = map.labels.size(); row-- > 0;) {
    out.append(width - runtime::text_columns(map.labels[row]), ' ').append(map.labels[row]);
    out += " |";
    unsigned now = 0;
    for (const std::vector<uint64_t>& column : map.cells) {
      const unsigned step = map.step(column[row]);
      if (colour && step != now) {
        out += step == 0 ? "\x1b[0m" : fmt::format("\x1b[48;5;{}m", kColours[step]);
        now = step;
      }
      out += colour ? ' ' : kLetters[step];
    }
    if (now != 0) out += "\x1b[0m";
    out += "|\n";
  }
  std::string marks;
  for (size_t column = 0; column < map.cells.size(); column += kColumnsPerMark) {
    const std::string text = std::to_string(map.slot_of(column));
    if (!marks.empty() && marks.size() >= column) continue;  // no room behind the last one
    if (column > 0 && column + text.size() > map.cells.size() + kMostBeyond) break;
    marks.append(column - marks.size(), ' ').append(text);
  }
  out.append(width + 2, ' ').append(marks) += '\n';
  out.append(width + 2, ' ');
  if (map.greatest == 1) {  // all cells that have any look alike
    return out += colour ? fmt::format("\x1b[48;5;{}m \x1b[0m 1 sample\n", kColours[kHeatMapSteps])
                         : fmt::format("{} is 1 sample\n", kLetters[kHeatMapSteps]);
  }
  if (colour) {
    for (unsigned step = 1; step <= kHeatMapSteps; ++step)
      out += fmt::format("\x1b[48;5;{}m ", kColours[step]);
    out += fmt::format("\x1b[0m 1 to {} samples\n", map.greatest);
  } else {
    out += fmt::format("{} to {} is 1 to {} samples\n", kLetters[1], kLetters[kHeatMapSteps],
                       map.greatest);
  }
  return out;
}

}  // namespace ktap::output

// See distribution.h.
#include "runtime/distribution.h"

#include <algorithm>
#include <limits>

#include <fmt/core.h>
#include <fmt/format.h>

#include "base/check.h"
#include "runtime/picture.h"

namespace ktap::runtime {
namespace {

using Kind = Distribution::Kind;

constexpr int64_t kLowest = std::numeric_limits<int64_t>::min();

BucketBounds bounds_of(const Distribution& d, int bucket) {
  switch (d.kind) {
    case Kind::Pow2:
      return pow2_bounds(bucket);
    case Kind::LogLinear:
      return log_linear_bounds(bucket);
    case Kind::Linear:
      return linear_bounds(d.shape, bucket);
  }
  KTAP_UNREACHABLE();
}

bool is_below(const Distribution& d, int bucket) { return d.kind == Kind::Linear && bucket < 0; }

bool is_above(const Distribution& d, int bucket) {
  return d.kind == Kind::Linear && bucket == linear_buckets(d.shape);
}

/// value × 39 / total, cut.
int bar_of(uint64_t count, uint64_t total) {
  return static_cast<int>(UnsignedWide{count} * kPictureBarColumns / total);
}

}  // namespace

bool BucketCounts::add(int bucket, uint64_t count) {
  auto at = std::lower_bound(counts_.begin(), counts_.end(), bucket,
                             [](const BucketCount& b, int wanted) { return b.bucket < wanted; });
  if (at != counts_.end() && at->bucket == bucket) {
    at->count += count;
    return false;
  }
  counts_.insert(at, {bucket, count});
  return true;
}

int64_t Distribution::lower(int bucket) const {
  if (is_below(*this, bucket)) return kLowest;
  if (is_above(*this, bucket)) return shape.hi;
  const BucketBounds bounds = bounds_of(*this, bucket);
  if (bounds.mirrored && bounds.low <= kLowest) {
    return static_cast<int64_t>(std::max<Wide>(bounds.low + 1, kLowest));
  }
  return static_cast<int64_t>(bounds.low);
}

std::string Distribution::label(int bucket) const {
  if (is_below(*this, bucket)) return fmt::format("< {}", shape.lo);
  if (is_above(*this, bucket)) return fmt::format(">= {}", shape.hi);
  const BucketBounds bounds = bounds_of(*this, bucket);
  if (kind == Kind::Linear) {
    return fmt::format("[{}, {})", static_cast<int64_t>(bounds.low),
                       static_cast<int64_t>(bounds.high));
  }
  if (bucket == 0) return "0";
  const std::string low = power_text(bounds.low);
  const std::string high = power_text(bounds.high);
  return bounds.mirrored ? fmt::format("({}, {}]", low, high) : fmt::format("[{}, {})", low, high);
}

uint64_t Distribution::count_from(int64_t lower_bound) const {
  for (const BucketCount& b : counts) {
    if (lower(b.bucket) == lower_bound) return b.count;
  }
  return 0;
}

uint64_t Distribution::total() const {
  uint64_t total = 0;
  for (const BucketCount& b : counts) total += b.count;
  return total;
}

std::string power_text(Wide number) {
  constexpr char kSuffixes[] = "KMGTPE";
  size_t suffix = 0;
  while (number != 0 && number % 1024 == 0 && suffix + 1 < sizeof(kSuffixes)) {
    number /= 1024;
    ++suffix;
  }
  std::string text = fmt::format("{}", static_cast<int64_t>(number));
  if (suffix > 0) text += kSuffixes[suffix - 1];
  return text;
}

void append_distribution(std::string& out, const Distribution& d, size_t indent) {
  out.append(indent, ' ');
  append_picture_header(out);
  const uint64_t total = d.total();
  const auto row = [&](int bucket, uint64_t count) {
    out.append(indent, ' ');
    append_picture_row(out, d.label(bucket), count == 0 ? 0 : bar_of(count, total),
                       fmt::format_int(count).str());
  };
  int drawn = -1;  // the last bucket that has its row; the rows between two have a 0
  bool any = false;
  for (const BucketCount& b : d.counts) {
    const bool outside = is_below(d, b.bucket) || is_above(d, b.bucket);
    if (any && !outside) {
      for (int between = drawn + 1; between < b.bucket; ++between) row(between, 0);
    }
    row(b.bucket, b.count);
    drawn = b.bucket;
    any = any || !outside;
  }
}

}  // namespace ktap::runtime

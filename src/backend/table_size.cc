// See table_size.h.
#include "backend/table_size.h"

#include <algorithm>

#include "base/limits.h"

namespace ktap::backend {
namespace {

/// Buckets that one key of a histogram is given room for; most histograms have a few. Guessed.
constexpr uint32_t kBucketsForKey = 16;

}  // namespace

uint32_t table_entries(const ssa::TableInfo& info, const Options& options) {
  const bool has_no_key = info.key.size() == (info.bucket_count != 0 ? 1 : 0);
  if (has_no_key) return std::max(info.bucket_count, uint32_t{1});
  const uint32_t keys = info.max_entries != 0     ? info.max_entries
                        : options.table_size != 0 ? options.table_size
                                                  : limits::kDefaultTableSize;
  if (info.bucket_count == 0) return keys;
  // A large table has few keys in each of many buckets, or many keys in a few.
  const uint64_t pairs = uint64_t{keys} * std::min(info.bucket_count, kBucketsForKey);
  return std::max(keys,
                  static_cast<uint32_t>(std::min(pairs, uint64_t{limits::kDefaultTableSize})));
}

}  // namespace ktap::backend

// See table_memory.h.
#include "backend/table_memory.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/check.h"

namespace ktap::backend {

namespace {

/// The factor that undoes a product with `factor`, an odd number, modulo 2^64 (Newton's iteration).
constexpr uint64_t inverse(uint64_t factor) {
  uint64_t x = factor;  // right in the lowest 3 bits
  for (int i = 0; i < 5; ++i) x *= 2 - factor * x;
  return x;
}
static_assert(kHashFactor * inverse(kHashFactor) == 1);

uint64_t word_at(const uint8_t* memory, size_t index) {
  uint64_t word = 0;
  std::memcpy(&word, memory + 8 * index, 8);
  return word;
}

void visit_direct(const Table& table, uint8_t* entries, bool take, const EntryVisitor& visit) {
  const uint64_t count = table.direct_entries();
  const size_t entry_words = table.entry_words();
  std::vector<int64_t> key(std::max<size_t>(table.ranges.size(), 1));
  std::vector<int64_t> words(table.words.size());
  for (uint64_t number = 0; number < count; ++number) {
    const uint8_t* entry = entries + 8 * entry_words * number;
    if (word_at(entry, 0) == 0) continue;
    uint64_t rest = number;
    for (size_t part = table.ranges.size(); part-- > 0;) {
      const ssa::Range& range = table.ranges[part];
      key[part] = range.lo + static_cast<int64_t>(rest % range.size());
      rest /= range.size();
    }
    std::memcpy(words.data(), entry + (table.has_presence ? 8 : 0), 8 * words.size());
    visit(reinterpret_cast<const uint8_t*>(key.data()), words.data());
  }
  if (take) std::memset(entries, 0, 8 * entry_words * count);
}

void visit_slots(const Table& table, uint8_t* slots, bool take, const EntryVisitor& visit) {
  const size_t slot_bytes = 8 * size_t{table.slot_words()};
  const bool is_word = table.key_words() == 1;
  std::vector<int64_t> words(table.words.size());
  for (uint32_t i = 0; i < table.slots(); ++i) {
    uint8_t* slot = slots + slot_bytes * i;
    const uint64_t tag = word_at(slot, 0);
    if (tag == 0) continue;
    const uint64_t word = i == table.zero_slot() ? 0 : tag * inverse(kHashFactor);
    const uint8_t* key = is_word ? reinterpret_cast<const uint8_t*>(&word) : slot + 8;
    std::memcpy(words.data(), slot + slot_bytes - 8 * words.size(), 8 * words.size());
    visit(key, words.data());
    if (take) std::memset(slot, 0, slot_bytes);
  }
}

}  // namespace

bool has_entries(const TablePlace& place, const uint8_t* front) {
  return word_at(front + place.count_offset_bytes, 0) != 0;
}

void visit_entries(const Table& table, const TablePlace& place, uint8_t* area, bool take,
                   const EntryVisitor& visit) {
  if (table.layout == TableLayout::Direct) {
    return visit_direct(table, area + place.offset_bytes, take, visit);
  }
  KTAP_CHECK(table.layout == TableLayout::PerCpu);
  if (!has_entries(place, area)) return;
  visit_slots(table, area + place.offset_bytes, take, visit);
  if (take) std::memset(area + place.count_offset_bytes, 0, 8);
}

int64_t merge_word(ssa::MergeOp op, int64_t a, int64_t b) {
  switch (op) {
    case ssa::MergeOp::Add:
      return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
    case ssa::MergeOp::Min:
      return std::min(a, b);
    case ssa::MergeOp::Max:
      return std::max(a, b);
  }
  KTAP_UNREACHABLE();
}

}  // namespace ktap::backend

// See table_memory.h.
#include "backend/table_memory.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/check.h"

namespace ktap::backend {

namespace {

uint64_t word_at(const uint8_t* memory, size_t index) {
  uint64_t word = 0;
  std::memcpy(&word, memory + 8 * index, 8);
  return word;
}

/// The key of entry `number` of a direct table.
void split_index(const Table& table, uint64_t number, int64_t* key) {
  for (size_t part = table.ranges.size(); part-- > 0;) {
    const ssa::Range& range = table.ranges[part];
    key[part] = range.lo + static_cast<int64_t>(number % range.size());
    number /= range.size();
  }
}

void visit_direct(const Table& table, uint8_t* entries, bool take, const EntryVisitor& visit) {
  const uint64_t count = table.direct_entries();
  const size_t entry_words = table.entry_words();
  std::vector<int64_t> key(std::max<size_t>(table.ranges.size(), 1));
  std::vector<int64_t> words(table.words.size());
  for (uint64_t number = 0; number < count; ++number) {
    const uint8_t* entry = entries + 8 * entry_words * number;
    if (word_at(entry, 0) == 0) continue;
    split_index(table, number, key.data());
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
    const uint64_t word = i == table.zero_slot() ? 0 : tag * kHashInverse;
    const uint8_t* key = is_word ? reinterpret_cast<const uint8_t*>(&word) : slot + 8;
    std::memcpy(words.data(), slot + slot_bytes - 8 * words.size(), 8 * words.size());
    visit(key, words.data());
    if (take) std::memset(slot, 0, slot_bytes);
  }
}

/// Follows the code of slot_index(): the slots in which a product may be, in their order.
template <class Visit>  // of a slot's number; true ends it
void probe_slots(const Table& table, uint64_t product, Visit&& visit) {
  const uint64_t mask = (uint64_t{1} << table.slot_bits) - 1;
  for (uint64_t group = 0; group < kGroups; ++group) {
    const uint64_t step = (product >> 24) | 1;
    const uint64_t first = ((product >> (64 - table.slot_bits)) + group * step) & mask;
    for (uint32_t i = 0; i < kGroupSlots; ++i) {
      if (visit(first + i)) return;
    }
  }
}

template <class Word>
Word load(const Word* word) {
  return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

}  // namespace

// ---- Shared and ByThread
// -------------------------------------------------------------------------

int64_t* SharedMemory::value_of(uint64_t* slot) const {
  return reinterpret_cast<int64_t*>(slot + table_.slot_words() - 1);
}

bool SharedMemory::is_present(const uint64_t* slot) const {
  if (table_.layout == TableLayout::ByThread) {
    return (load(slot) & 3) == static_cast<uint64_t>(ThreadState::Present);
  }
  return load(slot + table_.slot_words() - 2) != 0;
}

void SharedMemory::visit(const EntryVisitor& visit) const {
  const uint64_t count = table_.walk_slots();
  std::vector<int64_t> key(table_.key_words());
  for (uint64_t number = 0; number < count; ++number) {
    uint64_t* slot = slot_at(number);
    const uint64_t tag = load(slot);
    if (!is_present(slot)) continue;
    const int64_t value = load(value_of(slot));
    if (table_.layout == TableLayout::ByThread) {
      if (load(slot) != tag) continue;  // it went while we looked
      key[0] = static_cast<int64_t>(tag >> 2);
    } else if (table_.is_direct) {
      split_index(table_, number, key.data());
    } else {
      key[0] = number == table_.zero_slot() ? 0 : static_cast<int64_t>(tag * kHashInverse);
    }
    visit(reinterpret_cast<const uint8_t*>(key.data()), &value);
  }
}

bool SharedMemory::can_hold(const uint8_t* key) const {
  if (table_.layout == TableLayout::ByThread) {
    const uint64_t tid = word_at(key, 0);
    return tid != 0 && tid >> 32 == 0;
  }
  for (size_t i = 0; i < table_.ranges.size() && table_.is_direct; ++i) {
    if (!table_.ranges[i].contains(static_cast<int64_t>(word_at(key, i)))) return false;
  }
  return true;
}

/// The slot of a key; with `claims` one that becomes its own. Null: none.
uint64_t* SharedMemory::find(const uint8_t* key, bool claims) const {
  if (!can_hold(key)) return nullptr;
  if (table_.is_direct) {
    uint64_t number = 0;
    for (size_t i = 0; i < table_.ranges.size(); ++i) {
      const ssa::Range& range = table_.ranges[i];
      number = number * range.size() + (word_at(key, i) - static_cast<uint64_t>(range.lo));
    }
    return slot_at(number);
  }
  const uint64_t word = word_at(key, 0);
  const uint64_t product = word * kHashFactor;
  const bool by_thread = table_.layout == TableLayout::ByThread;
  if (!by_thread && product == 0) return slot_at(table_.zero_slot());
  uint64_t* found = nullptr;
  probe_slots(table_, product, [&](uint64_t number) {
    uint64_t* slot = slot_at(number);
    const uint64_t tag = load(slot);
    const bool is_own = by_thread ? tag >> 2 == word : tag == product;
    if (is_own) found = slot;
    return is_own || tag == 0;
  });
  return found != nullptr || !claims ? found : claim(word);
}

/// The first free slot on the way of a key that has none yet.
uint64_t* SharedMemory::claim(uint64_t word) const {
  const bool by_thread = table_.layout == TableLayout::ByThread;
  if (is_full()) return nullptr;
  const uint64_t product = word * kHashFactor;
  const uint64_t own = by_thread ? word << 2 | static_cast<uint64_t>(ThreadState::Busy) : product;
  uint64_t* found = nullptr;
  probe_slots(table_, product, [&](uint64_t number) {
    uint64_t* slot = slot_at(number);
    uint64_t tag = load(slot);
    const bool is_free = by_thread ? (tag & 3) == 0 : tag == 0;
    const bool took = is_free && __atomic_compare_exchange_n(slot, &tag, own, false,
                                                             __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    if (took) found = slot;
    return took;
  });
  return found;
}

bool SharedMemory::lookup(const uint8_t* key, int64_t* value) const {
  uint64_t* slot = find(key, false);
  if (slot == nullptr || !is_present(slot)) return false;
  *value = load(value_of(slot));
  return true;
}

bool SharedMemory::put(const uint8_t* key, int64_t value) {
  uint64_t* slot = find(key, true);
  if (slot == nullptr || (!is_present(slot) && is_full())) return false;
  __atomic_store_n(value_of(slot), value, __ATOMIC_RELEASE);
  set_present(slot, key, true);
  return true;
}

/// ByThread tables are full when no slot is to be had.
bool SharedMemory::is_full() const {
  const bool has_bound = table_.layout == TableLayout::Shared && !table_.is_direct;
  return has_bound && load(reinterpret_cast<uint64_t*>(memory_)) >= table_.max_entries;
}

void SharedMemory::set_present(uint64_t* slot, const uint8_t* key, bool is_there) {
  if (!table_.is_direct && is_present(slot) != is_there) {
    const uint64_t by = is_there ? 1 : UINT64_MAX;
    __atomic_fetch_add(reinterpret_cast<uint64_t*>(memory_), by, __ATOMIC_SEQ_CST);
  }
  if (table_.layout != TableLayout::ByThread) {
    __atomic_store_n(slot + table_.slot_words() - 2, is_there ? 1 : 0, __ATOMIC_RELEASE);
    return;
  }
  const ThreadState state = is_there ? ThreadState::Present : ThreadState::Absent;
  __atomic_store_n(slot, word_at(key, 0) << 2 | static_cast<uint64_t>(state), __ATOMIC_RELEASE);
}

void SharedMemory::remove_if(const uint8_t* key, int64_t value) {
  uint64_t* slot = find(key, false);
  if (slot == nullptr || !is_present(slot) || load(value_of(slot)) != value) return;
  set_present(slot, key, false);
  __atomic_store_n(value_of(slot), 0, __ATOMIC_RELEASE);  // an add starts from here
}

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

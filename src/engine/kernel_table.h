// A script's table whose entries are written in the kernel: how the VM's Table gets them, and what
// happens to the kernel's side when user space deletes or sets. Implements the snapshot rule
// (language, section 5).
//
// Delta    The runtime Table accumulates; the two kernel maps only hold what was added since they
// were last read. A
//          snapshot flips the generation, waits until no program writes the old map, takes that map
//          empty and adds it up. Deleting is then the Table's own affair, and nothing is lost or
//          counted twice.
// Shared   The kernel map is the table; a snapshot copies it. Deleting takes an entry from the map
// only while it still
//          has the snapshot's value.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "backend/unit.h"
#include "engine/key_codec.h"
#include "engine/value_codec.h"
#include "runtime/heap.h"
#include "runtime/shared_variable.h"
#include "runtime/table.h"
#include "sys/bpf.h"

namespace ktap::engine {

class DeltaTable;

/// What all tables of one run share: which handler run it is, and the generation that programs
/// write to.
class Snapshots {
 public:
  /// `generation` is the word of the control page.
  void set_generation_word(uint64_t* generation) { generation_ = generation; }
  /// While true, programs may be running: a flip must wait for them.
  void set_armed(bool armed) { armed_ = armed; }

  void next_run() { ++run_; }
  uint64_t run() const { return run_; }
  /// On the first call of a run: flips, and every DeltaTable collects the idle map.
  void take();

  void add(DeltaTable* table) { tables_.push_back(table); }
  void remove(DeltaTable* table);

 private:
  static constexpr uint64_t kNever = UINT64_MAX;

  uint64_t* generation_ = nullptr;
  bool armed_ = false;
  uint64_t run_ = 0;
  uint64_t taken_in_run_ = kNever;
  std::vector<DeltaTable*> tables_;
};

class DeltaTable : public runtime::TableBacking {
 public:
  /// All that is referred to outlives this.
  DeltaTable(const backend::Table& layout, sys::Map* first, sys::Map* second,
             const std::vector<std::string>& strings, runtime::Heap& heap, Snapshots& snapshots);
  ~DeltaTable() override;

  void before_read(runtime::Table& table) override;
  void on_clear(runtime::Table& table) override;
  void on_set(runtime::Table& table, runtime::Value key, runtime::Value value) override;

  /// Takes what map `generation` holds; it is added to the Table when that is next read.
  void collect(uint64_t generation);

 private:
  KeyCodec codec_;
  sys::Map* maps_[2];
  runtime::Heap& heap_;
  Snapshots& snapshots_;
  size_t key_size_bytes_;
  std::vector<uint8_t> pending_keys_;
  std::vector<int64_t> pending_sums_;
};

class SharedTable : public runtime::TableBacking {
 public:
  SharedTable(const backend::Table& layout, sys::Map* map, const std::vector<std::string>& strings,
              runtime::Heap& heap, Snapshots& snapshots);

  void before_read(runtime::Table& table) override;
  void on_clear(runtime::Table& table) override;
  void on_set(runtime::Table& table, runtime::Value key, runtime::Value value) override;

 private:
  void remove_if_unchanged(const std::string& key, const std::string& value);

  KeyCodec codec_;
  ValueCodec values_;
  sys::Map* map_;
  runtime::Heap& heap_;
  Snapshots& snapshots_;
  size_t key_size_bytes_;
  uint64_t taken_in_run_ = UINT64_MAX;
  std::unordered_map<std::string, std::string> snapshot_;  // bytes of key → of value as last seen
};

/// The value of `key` as whole bytes; false when it is not there, or never at rest.
bool read_whole(const sys::Map& map, const ValueCodec& values, const uint8_t* key,
                std::vector<uint8_t>* value);

/// A variable that is a table of one entry (lower::Linkage::variables).
class TableVariable : public runtime::SharedVariable {
 public:
  TableVariable(const backend::Table& layout, sys::Map* map,
                const std::vector<std::string>& strings, runtime::Heap& heap);
  runtime::Value load() override;
  bool store(runtime::Value value) override;

 private:
  ValueCodec values_;
  sys::Map* map_;
  runtime::Heap& heap_;
  std::vector<uint8_t> key_;
};

}  // namespace ktap::engine

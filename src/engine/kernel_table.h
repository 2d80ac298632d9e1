// A script's table whose entries are written in the kernel: how the VM's Table gets them, and what
// happens to the kernel's side when user space deletes or sets. Implements the snapshot rule
// (language, section 5).
//
// DeltaTable   The runtime Table accumulates; the kernel only holds what was added since it was
// last
//              read. A snapshot flips the generation and takes the idle half empty (delta_reader).
//              Deleting is then the Table's own affair, and nothing is lost or counted twice.
// MasterTable  The kernel's entries are the table; a snapshot copies them. Deleting takes an entry
//              away only while it still has the snapshot's value.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "backend/unit.h"
#include "engine/delta_reader.h"
#include "engine/key_codec.h"
#include "runtime/heap.h"
#include "runtime/table.h"
#include "sys/bpf.h"

namespace ktap::engine {

class DeltaTable : public runtime::TableBacking {
 public:
  /// All that is referred to outlives this. Requires: the table's entries are one sum.
  DeltaTable(const backend::Unit& unit, uint32_t table, DeltaMemory& memory,
             const std::vector<std::string>& strings, runtime::Heap& heap, Snapshots& snapshots);

  void before_read(runtime::Table& table) override;
  void on_clear(runtime::Table& table) override;
  void on_set(runtime::Table& table, runtime::Value key, runtime::Value value) override;

 private:
  DeltaReader reader_;
  KeyCodec codec_;
  runtime::Heap& heap_;
};

/// Where the entries of a MasterTable are: keys by Table.part_offset_bytes, integers as values.
class EntryStore {
 public:
  virtual ~EntryStore() = default;
  /// False: could not be read now.
  virtual bool read_all(const backend::EntryVisitor& visit) = 0;
  /// Whether a program could make such an entry.
  virtual bool can_hold(const uint8_t* key) = 0;
  /// False: no room.
  virtual bool put(const uint8_t* key, int64_t value) = 0;
  /// Removes the entry if it has that value.
  virtual void remove_if(const uint8_t* key, int64_t value) = 0;
};
/// For a table of the unit that is no delta; `maps` outlive it.
std::unique_ptr<EntryStore> make_store(const backend::Table& table, std::vector<sys::Map>& maps);

class MasterTable : public runtime::TableBacking {
 public:
  MasterTable(const backend::Table& layout, std::unique_ptr<EntryStore> store,
              const std::vector<std::string>& strings, runtime::Heap& heap, Snapshots& snapshots);

  void before_read(runtime::Table& table) override;
  void on_clear(runtime::Table& table) override;
  void on_set(runtime::Table& table, runtime::Value key, runtime::Value value) override;

 private:
  KeyCodec codec_;
  std::unique_ptr<EntryStore> store_;
  runtime::Heap& heap_;
  Snapshots& snapshots_;
  size_t key_size_bytes_;
  uint64_t taken_in_run_ = UINT64_MAX;
  std::unordered_map<std::string, int64_t> snapshot_;  // key bytes → value as last seen
};

}  // namespace ktap::engine

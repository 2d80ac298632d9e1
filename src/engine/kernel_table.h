// A script's table whose entries are written in the kernel: how the VM's Table gets them, and what
// happens to the kernel's side when user space deletes or sets. Implements the snapshot rule
// (language, section 5).
//
// DeltaTable   The runtime Table accumulates; the kernel only holds what was added since it was
// last
//              read. A snapshot flips the generation and takes the idle half empty (delta_reader).
//              Deleting is then the Table's own affair, and nothing is lost or counted twice.
// HashTable    The kernel map is the table; a snapshot copies it. Deleting takes an entry from the
//              map only while it still has the snapshot's value.
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
  DeltaTable(const backend::Unit& unit, uint32_t table, std::vector<sys::Map>& maps,
             const std::vector<std::string>& strings, runtime::Heap& heap, Snapshots& snapshots);

  void before_read(runtime::Table& table) override;
  void on_clear(runtime::Table& table) override;
  void on_set(runtime::Table& table, runtime::Value key, runtime::Value value) override;

 private:
  DeltaReader reader_;
  KeyCodec codec_;
  runtime::Heap& heap_;
};

class HashTable : public runtime::TableBacking {
 public:
  HashTable(const backend::Table& layout, sys::Map* map, const std::vector<std::string>& strings,
            runtime::Heap& heap, Snapshots& snapshots);

  void before_read(runtime::Table& table) override;
  void on_clear(runtime::Table& table) override;
  void on_set(runtime::Table& table, runtime::Value key, runtime::Value value) override;

 private:
  void remove_if_unchanged(const std::string& key, int64_t value);

  KeyCodec codec_;
  sys::Map* map_;
  runtime::Heap& heap_;
  Snapshots& snapshots_;
  size_t key_size_bytes_;
  uint64_t taken_in_run_ = UINT64_MAX;
  std::unordered_map<std::string, int64_t> snapshot_;  // key bytes → value as last seen
};

}  // namespace ktap::engine

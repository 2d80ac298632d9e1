// A script's table whose entries are written in the kernel: how the VM's Table gets them, and what
// happens to the kernel's side when user space deletes or sets. Implements the snapshot rule
// (language, section 5).
//
// DeltaTable   The runtime Table accumulates; the kernel only holds what was added since it was
// last
//              read. A snapshot flips the generation and takes the idle half empty (delta_reader).
//              Deleting is then the Table's own affair, and nothing is lost or counted twice.
// MasterTable  The kernel's entries are the table; a snapshot copies them. Deleting takes an entry
//              away only while it still has the snapshot's value; where programs only add, it
//              subtracts that value (entry_updater). Storing in an entry that programs only add to
//              adds the difference to the snapshot.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "backend/unit.h"
#include "engine/delta_reader.h"
#include "engine/entry_updater.h"
#include "engine/key_codec.h"
#include "engine/value_codec.h"
#include "runtime/arith.h"
#include "runtime/heap.h"
#include "runtime/shared_variable.h"
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
  Result<void> on_set(runtime::Table& table, runtime::Value key, runtime::Value value) override;

 private:
  DeltaReader reader_;
  KeyCodec codec_;
  runtime::Heap& heap_;
};

using EntryBytesVisitor = std::function<void(const uint8_t* key, const uint8_t* value)>;

/// entry = entry op operand
struct Change {
  runtime::ArithOp op = runtime::ArithOp::Add;
  int64_t operand = 0;
};

/// Where the entries of a MasterTable are: keys by Table.part_offset_bytes, values of
/// Table.value_size_bytes.
class EntryStore {
 public:
  virtual ~EntryStore() = default;
  /// False: could not be read now.
  virtual bool read_all(const EntryBytesVisitor& visit) = 0;
  /// Whether a program could make such an entry.
  virtual bool can_hold(const uint8_t* key) = 0;
  /// `seen`: the value that the snapshot has, null for none; of a table that is_taken it is that
  /// one which is replaced. False: no room.
  virtual bool put(const uint8_t* key, const uint8_t* value, const uint8_t* seen) = 0;
  /// The same for what `change` makes of the entry; of integers it is made of what is there now.
  virtual bool update(const uint8_t* key, const uint8_t* value, const uint8_t* seen,
                      const Change&) {
    return put(key, value, seen);
  }
  /// Removes the entry if it has that value; of a table that is_taken, subtracts that value.
  virtual void remove_if(const uint8_t* key, const uint8_t* value) = 0;
};
/// For a table of the unit that is no delta; `maps` outlive it.
/// `control` is the control page, mapped.
std::unique_ptr<EntryStore> make_store(const backend::Table& table, std::vector<sys::Map>& maps,
                                       uint8_t* control, const std::vector<std::string>& strings);

class MasterTable : public runtime::TableBacking {
 public:
  MasterTable(const backend::Table& layout, std::unique_ptr<EntryStore> store,
              const std::vector<std::string>& strings, runtime::Heap& heap, Snapshots& snapshots);

  void before_read(runtime::Table& table) override;
  void on_clear(runtime::Table& table) override;
  Result<void> on_set(runtime::Table& table, runtime::Value key, runtime::Value value) override;
  Result<void> on_update(runtime::Table& table, runtime::Value key, runtime::ArithOp op,
                         int64_t operand, runtime::Value value) override;

 private:
  Result<void> store(runtime::Table& table, runtime::Value key, runtime::Value value,
                     const Change* change);
  void remove(const std::vector<uint8_t>& key);

  KeyCodec codec_;
  ValueCodec values_;
  std::unique_ptr<EntryStore> store_;
  runtime::Heap& heap_;
  Snapshots& snapshots_;
  size_t key_size_bytes_;
  uint32_t max_entries_;
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
  bool update(runtime::ArithOp op, int64_t operand) override;

 private:
  const backend::Table& table_;
  ValueCodec values_;
  sys::Map* map_;
  EntryUpdater updater_;
  runtime::Heap& heap_;
  std::vector<uint8_t> key_;
};

}  // namespace ktap::engine

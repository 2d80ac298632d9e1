// What a place may hold, as the freeze finds it (world.cc): a register, a variable, an entry of a
// table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "bytecode/chunk.h"
#include "lower/world.h"
#include "runtime/table.h"
#include "schema/builtin_vars.h"

namespace ktap::lower {

struct Facts {
  uint8_t kinds = 0;    ///< of ValueKind, by what the code says
  Texts texts;          ///< of its strings
  bool unsure = false;  ///< a field of an event, an integer here, may be a string
  bool event = false;
  bool fresh = false;  ///< a table made by a handler
  bool typed = false;  ///< a kernel pointer, or what lies there: an integer, as far as is known
  std::set<const runtime::Table*> tables;
  std::set<size_t> functions;  ///< instances
  std::set<uint16_t> builtins;
  std::vector<Facts> parts;  ///< of a multi-key: none of them has parts
  bool is_mixed = false;     ///< not each multi-key has these parts
  /// It is a key of these tables, that a loop goes through, or this part of one; -1: all of it.
  std::set<std::pair<const runtime::Table*, int>> walked;

  static Facts of(uint8_t kinds);
  static Facts of_text(std::string_view text);
  static Facts of_tuple(const std::vector<Facts>& parts);
  static Facts of_constant(const bytecode::Constant& constant);
  static Facts of_variable(schema::BuiltinVar variable);
  /// Of an event: its format is not known yet.
  static Facts field();
  /// Into the kernel's memory.
  static Facts pointer();
  /// What is looked up there.
  static Facts in_memory();
  /// True when this grew.
  bool merge(const Facts& other);
  /// As a set of ValueKind.
  uint8_t value_kinds() const {
    const bool is_plain =
        !event && !fresh && tables.empty() && functions.empty() && builtins.empty();
    return is_plain ? kinds : static_cast<uint8_t>(kinds | kOther);
  }
  /// As what timers store.
  Stored stored() const { return {value_kinds(), texts, unsure || typed}; }

 private:
  bool merge_parts(const Facts& other);
};

}  // namespace ktap::lower

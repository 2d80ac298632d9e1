// Which tables of the frozen world a handler can touch and change, read off its bytecode without
// lowering it. Placement needs this of handlers that run in user space: a table has one master at a
// time.
#pragma once

#include <cstdint>
#include <set>
#include <vector>

#include "bytecode/unsafe_uses.h"
#include "lower/lower.h"
#include "lower/world.h"
#include "runtime/table.h"

namespace ktap::lower {

struct Effects {
  std::set<const runtime::Table*> touched;  ///< may be read, iterated, written or emptied
  /// May get new or changed entries. Removal is no write, a sample neither: it adds up with others,
  /// whoever adds them.
  std::set<const runtime::Table*> written;
  std::set<const runtime::Aggregate*> aggregates;  ///< may be read, emptied or get samples
  std::set<const runtime::Table*> removed_from;    ///< may lose entries by delete()
  /// Tables of aggregates and aggregates that may lose samples, or get some.
  std::set<const runtime::Object*> resampled;
  std::set<bytecode::Builtin> actions;  ///< what it calls that acts in the kernel alone
  std::set<Variable> read;      ///< variables whose value is read (`x += 1` alone reads none)
  std::set<Variable> assigned;  ///< variables that get a new value
  std::set<Variable>
      replaced;  ///< of these, the ones that get it otherwise than by `+=` and its kin
};

/// Errs on the side of more: a table whose identity the code hides counts as touched and written.
Effects effects_of(const Handler& handler, const std::vector<runtime::Value>& globals);

}  // namespace ktap::lower

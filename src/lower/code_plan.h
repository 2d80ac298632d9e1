// The control flow of one function's bytecode, found before it is interpreted: where ways meet,
// which instructions make up a loop, in which order to look at them so that everything that leads
// to a place, a loop's own rounds aside, is known when its turn comes; and which registers a loop's
// head still needs. Source of the loops: natural loops of back edges (Aho, Sethi, Ullman).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "bytecode/chunk.h"

namespace ktap::lower {

struct CodeLoop {
  size_t head = 0;
  int parent = -1;         ///< the loop around it
  size_t size = 0;         ///< instructions, inner loops included
  bool has_inner = false;  ///< a loop inside
  bool has_call = false;   ///< a call inside
  std::vector<bool> live;  ///< by register: read after the head before it is written
};

struct CodePlan {
  std::vector<uint32_t> rank;   ///< by instruction; those of a loop stand together, its head first
  std::vector<bool> is_leader;  ///< by instruction: ways meet here
  std::vector<int> loop;        ///< by instruction: the innermost loop, or -1
  std::vector<CodeLoop> loops;
  std::vector<bool> captured;  ///< by register: some function made here captures it
  std::string problem;         ///< why it cannot be walked, else ""

  /// `pc` belongs to `loop` or to a loop inside.
  bool is_inside(size_t pc, int loop) const;
  /// The loop whose head `pc` is, or -1.
  int loop_at(size_t pc) const;
};

CodePlan plan_code(const bytecode::Function& function);

}  // namespace ktap::lower

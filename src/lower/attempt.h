// Taking back what a refused attempt left in the Linkage.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "lower/lower.h"

namespace ktap::lower {

/// The parts of a Linkage that lowering adds to, for taking an attempt back.
class Attempt {
 public:
  explicit Attempt(Linkage& linkage)
      : linkage_(linkage),
        module_(linkage.module),
        literal_parts_(linkage.literal_parts),
        tables_(linkage.tables.size()),
        cells_(linkage.cells.size()),
        outputs_(linkage.outputs.size()),
        captures_(linkage.captures.size()) {}

  void take_back() {
    linkage_.module = std::move(module_);
    linkage_.literal_parts = std::move(literal_parts_);
    linkage_.tables.resize(tables_);
    linkage_.cells.resize(cells_);
    linkage_.cell_globals.resize(cells_);
    linkage_.outputs.erase(linkage_.outputs.begin() + static_cast<ptrdiff_t>(outputs_), linkage_.outputs.end());
    linkage_.captures.resize(captures_);
  }

 private:
  Linkage& linkage_;
  ssa::Module module_;
  std::vector<std::vector<bool>> literal_parts_;
  size_t tables_;
  size_t cells_;
  size_t outputs_;
  size_t captures_;
};


/// "handler 0 (syscalls:sys_enter_read and 3 more)".
std::string function_name(uint32_t handler_index, const ssa::EventGroup& group);

}  // namespace ktap::lower

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
        table_infos_(linkage.module.tables),
        value_is_known_(linkage.value_is_known),
        strings_(linkage.module.strings.size()),
        sites_(linkage.module.sites.size()),
        failures_(linkage.module.failures.size()),
        cells_(linkage.cells.size()),
        outputs_(linkage.outputs.size()),
        captures_(linkage.captures.size()),
        samples_(linkage.samples.size()),
        linear_(linkage.module.linear.size()),
        names_(linkage.module.names.size()) {}

  void take_back() {
    linkage_.module.tables = std::move(table_infos_);
    linkage_.value_is_known = std::move(value_is_known_);
    cut(linkage_.variables, linkage_.module.tables.size());
    cut(linkage_.tables, linkage_.module.tables.size());
    cut(linkage_.module.strings, strings_);
    cut(linkage_.module.sites, sites_);
    cut(linkage_.module.failures, failures_);
    cut(linkage_.module.cells, cells_);
    cut(linkage_.cells, cells_);
    cut(linkage_.cell_globals, cells_);
    cut(linkage_.outputs, outputs_);
    cut(linkage_.captures, captures_);
    cut(linkage_.samples, samples_);
    cut(linkage_.module.linear, linear_);
    cut(linkage_.module.names, names_);
  }

 private:
  template <class List>
  static void cut(List& list, size_t size) {
    list.erase(list.begin() + static_cast<ptrdiff_t>(size), list.end());
  }

  Linkage& linkage_;
  std::vector<ssa::TableInfo> table_infos_;  ///< whole: lowering widens keys and sets flags
  std::vector<bool> value_is_known_;
  size_t strings_;
  size_t sites_;
  size_t failures_;
  size_t cells_;
  size_t outputs_;
  size_t captures_;
  size_t samples_;
  size_t linear_;
  size_t names_;
};

/// "handler 0 (syscalls:sys_enter_read and 3 more)".
std::string function_name(uint32_t handler_index, const ssa::EventGroup& group);

}  // namespace ktap::lower

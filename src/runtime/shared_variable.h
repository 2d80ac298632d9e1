// A variable whose value lives outside the VM and is no plain integer.
#pragma once

#include "runtime/value.h"

namespace ktap::runtime {

class SharedVariable {
 public:
  virtual ~SharedVariable() = default;
  /// What it holds at this moment; a string is new in the VM's heap.
  virtual Value load() = 0;
  /// False: it cannot hold such a value.
  virtual bool store(Value value) = 0;
};

}  // namespace ktap::runtime

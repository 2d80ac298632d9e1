// A variable whose value lives outside the VM and is no plain integer.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>

#include "runtime/arith.h"
#include "runtime/number.h"
#include "runtime/value.h"

namespace ktap::runtime {

class SharedVariable {
 public:
  virtual ~SharedVariable() = default;
  /// What it holds at this moment; a string is new in the VM's heap.
  virtual Value load() = 0;
  /// False: it cannot hold such a value.
  virtual bool store(Value value) = 0;
  /// `variable op= operand` in one step. False: that cannot be, as it holds no integer.
  virtual bool update(ArithOp, int64_t /*operand*/) { return false; }
};

/// An integer that the kernel's handlers change in one way, and no other. An assignment replaces
/// what this run of a handler has read; what was done meanwhile stays: `print(n) n = 0` loses
/// nothing.
class SharedWord : public SharedVariable {
 public:
  enum class ChangedBy : uint8_t { Sum, Mask, Toggle };

  /// `run()`: which run of a handler it is.
  SharedWord(int64_t* word, ChangedBy by, std::function<uint64_t()> run)
      : word_(word), by_(by), run_(std::move(run)) {}

  Value load() override {
    seen_in_run_ = run_();
    seen_ = __atomic_load_n(word_, __ATOMIC_RELAXED);
    return Value::of(seen_);
  }
  bool store(Value value) override {
    if (!value.is_integer()) return false;
    if (seen_in_run_ == run_()) {
      replace(value.integer);
    } else {
      __atomic_store_n(word_, value.integer, __ATOMIC_RELAXED);
    }
    seen_in_run_ = run_();
    seen_ = value.integer;
    return true;
  }

 private:
  void replace(int64_t value) {
    switch (by_) {
      case ChangedBy::Sum:
        __atomic_fetch_add(word_, wrap_sub(value, seen_), __ATOMIC_RELAXED);
        break;
      case ChangedBy::Mask:
        __atomic_fetch_and(word_, ~(seen_ & ~value), __ATOMIC_RELAXED);
        __atomic_fetch_or(word_, value & ~seen_, __ATOMIC_RELAXED);
        break;
      case ChangedBy::Toggle:
        __atomic_fetch_xor(word_, seen_ ^ value, __ATOMIC_RELAXED);
        break;
    }
  }

  int64_t* word_;
  ChangedBy by_;
  std::function<uint64_t()> run_;
  uint64_t seen_in_run_ = UINT64_MAX;
  int64_t seen_ = 0;
};

}  // namespace ktap::runtime

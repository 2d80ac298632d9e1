// Numbers beyond the interpreter's fast paths: operators of mixed types, comparisons, and the
// numeric for over integers and floats. In a file of their own, so that none is inlined into the
// loop.
#include <cmath>
#include <optional>

#include <fmt/core.h>

#include "runtime/arith.h"
#include "runtime/number.h"
#include "vm/machine.h"

namespace ktap::vm {

using runtime::ArithOp;
using runtime::Value;

namespace {

/// Rounds that a loop over integers makes beyond its first, computed without overflow.
uint64_t rounds_left(int64_t first, int64_t last, int64_t step) {
  auto from = static_cast<uint64_t>(first);
  auto to = static_cast<uint64_t>(last);
  if (step > 0) return (to - from) / static_cast<uint64_t>(step);
  return (from - to) / (~static_cast<uint64_t>(step) + 1);
}

/// The integer limit of a loop over integers whose limit is a float; none when there is no round.
std::optional<int64_t> integer_limit(double limit, int64_t step) {
  constexpr double kEdge = 0x1p63;
  if (std::isnan(limit)) return std::nullopt;
  if (limit >= kEdge) return step > 0 ? std::optional<int64_t>(INT64_MAX) : std::nullopt;
  if (limit < -kEdge) return step > 0 ? std::nullopt : std::optional<int64_t>(INT64_MIN);
  return static_cast<int64_t>(step > 0 ? std::floor(limit) : std::ceil(limit));
}

}  // namespace

/// loop[0..2] = first, last, step. Over integers, loop[1] becomes the count of rounds left, so that
/// the loop ends at the edge of the number range too; a limit that is a float is rounded towards
/// the first value. With a float as first value or step all three become floats.
bool Machine::for_prep(Value* loop, bool* empty) {
  static constexpr const char* kWhat[] = {"first value", "last value", "step"};
  for (int i = 0; i < 3; ++i) {
    if (!loop[i].is_number()) {
      return fail(fmt::format("the {} of a for is {}, not a number", kWhat[i],
                              runtime::type_phrase(loop[i].type)));
    }
  }
  if (runtime::to_double(loop[2]) == 0) return fail("the step of a for is 0");
  if (loop[0].is_integer() && loop[2].is_integer()) {
    int64_t first = loop[0].integer;
    int64_t step = loop[2].integer;
    std::optional<int64_t> limit =
        loop[1].is_integer() ? loop[1].integer : integer_limit(loop[1].number, step);
    int64_t last = limit.value_or(0);
    *empty = !limit || (step > 0 ? first > last : first < last);
    if (!*empty) {
      loop[0] = Value::of(first);
      loop[1] = Value::of(static_cast<int64_t>(rounds_left(first, last, step)));
    }
  } else {
    for (int i = 0; i < 3; ++i) loop[i] = Value::of(runtime::to_double(loop[i]));
    *empty = loop[2].number > 0 ? !(loop[0].number <= loop[1].number)
                                : !(loop[0].number >= loop[1].number);
  }
  loop[3] = loop[0];
  return true;
}

/// The next round of a loop over floats; false at its end.
bool Machine::for_step(Value* loop) {
  double next = loop[0].number + loop[2].number;
  if (loop[2].number > 0 ? !(next <= loop[1].number) : !(next >= loop[1].number)) return false;
  loop[0] = loop[3] = Value::of(next);
  return true;
}

bool Machine::slow_arith(ArithOp op, const Value& a, const Value& b, Value* result) {
  return runtime::arith(op, a, b, result, &error_text_);
}

bool Machine::slow_less(const Value& a, const Value& b, bool* result) {
  return runtime::less(a, b, result, &error_text_);
}

bool Machine::slow_less_equal(const Value& a, const Value& b, bool* result) {
  return runtime::less_equal(a, b, result, &error_text_);
}

}  // namespace ktap::vm

// Library: aggregates. Readers take nil for an aggregate that was never filled, so that an absent
// table cell can be read like any other.
#include <cmath>
#include <string>
#include <utility>

#include <fmt/core.h>

#include "base/limits.h"
#include "runtime/aggregate.h"
#include "runtime/histogram.h"
#include "runtime/string.h"
#include "runtime/text.h"
#include "vm/library.h"

namespace ktap::vm {

using runtime::Aggregate;
using runtime::Distribution;
using runtime::Value;

namespace {

/// Sets `*aggregate` to null for one that is not there or has no samples.
bool aggregate_arg(NativeCall& call, std::string_view reader, const Aggregate** aggregate) {
  *aggregate = nullptr;
  if (call.arg(0).is_nil()) return true;
  if (call.arg(0).type != runtime::Type::Aggregate) {
    return call.machine.fail(fmt::format(
        "{} takes an aggregate, got {}{}", reader, runtime::type_phrase(call.arg(0).type),
        call.arg(0).is_number() ? "; `t[k] <<< n` adds a number to the aggregate in t[k]" : ""));
  }
  const Aggregate* given = call.arg(0).aggregate();
  given->refresh();
  if (!given->empty()) *aggregate = given;
  return true;
}

/// A reader that gives `none` of an aggregate without samples.
bool read(NativeCall& call, std::string_view reader, int64_t (Aggregate::*number)() const,
          Value none) {
  const Aggregate* aggregate = nullptr;
  if (!aggregate_arg(call, reader, &aggregate)) return false;
  return call.give(aggregate == nullptr ? none : Value::of((aggregate->*number)()));
}

Value zero() { return Value::of(int64_t{0}); }

bool give_distribution(NativeCall& call, Distribution distribution) {
  return call.give(Value::of_object(runtime::Type::Histogram,
                                    call.machine.heap().histogram(std::move(distribution))));
}

bool linear_hist(NativeCall& call, const Aggregate* aggregate) {
  runtime::LinearShape shape;
  if (!call.integer_arg("hist", 1, &shape.lo) || !call.integer_arg("hist", 2, &shape.hi) ||
      !call.integer_arg("hist", 3, &shape.step))
    return false;
  std::string problem = runtime::shape_problem(shape);
  if (!problem.empty()) return call.machine.fail(std::move(problem));
  runtime::ReaderNeeds& needs = call.machine.reader_needs();
  const bool known = needs.learn(shape);
  Distribution distribution{Distribution::Kind::Linear, shape, {}};
  if (aggregate == nullptr || aggregate->linear(shape, needs, &distribution)) {
    return give_distribution(call, std::move(distribution));
  }
  if (!known) {
    return call.machine.fail(
        fmt::format("hist with more than {} different bounds", limits::kMaxLinearShapes));
  }
  return call.machine.fail(fmt::format(
      "this aggregate was filled before the bounds {}, {}, {} were known, {}: write them as "
      "numbers, or call hist(nil, lo, hi, step) before the first sample",
      shape.lo, shape.hi, shape.step,
      needs.values
          ? fmt::format("with over {} different values to keep", limits::kMaxAggregateValues)
          : std::string("and its values were not kept")));
}

}  // namespace

namespace lib {

bool Aggr(NativeCall& call) {
  return call.give(Value::of_object(runtime::Type::Aggregate, call.machine.heap().aggregate()));
}

bool Count(NativeCall& call) {
  if (call.count == 2) {  // the seeds' t[k] += 1
    return call.machine.update_index(call.arg(0), call.arg(1), bytecode::UpdateOp::Add,
                                     Value::of(int64_t{1}));
  }
  return read(call, "count", &Aggregate::count, zero());
}

bool Sum(NativeCall& call) { return read(call, "sum", &Aggregate::sum, zero()); }
bool Min(NativeCall& call) { return read(call, "min", &Aggregate::min, Value::nil()); }
bool Max(NativeCall& call) { return read(call, "max", &Aggregate::max, Value::nil()); }
bool Avg(NativeCall& call) { return read(call, "avg", &Aggregate::avg, zero()); }
bool Stddev(NativeCall& call) { return read(call, "stddev", &Aggregate::stddev, zero()); }

bool Quantile(NativeCall& call) {
  const Aggregate* aggregate = nullptr;
  if (!aggregate_arg(call, "quantile", &aggregate)) return false;
  const Value q = call.arg(1);
  if (!q.is_number()) {
    return call.machine.fail(
        fmt::format("quantile takes a number from 0 to 1, got {}", runtime::type_phrase(q.type)));
  }
  const double share = q.type == runtime::Type::Float ? q.number : static_cast<double>(q.integer);
  if (!(share >= 0 && share <= 1)) {
    std::string text;
    runtime::append_text(text, q);
    return call.machine.fail("quantile takes a number from 0 to 1, got " + text);
  }
  return call.give(aggregate == nullptr ? Value::nil() : Value::of(aggregate->quantile(share)));
}

bool Hist(NativeCall& call) {
  const Aggregate* aggregate = nullptr;
  if (!aggregate_arg(call, "hist", &aggregate)) return false;
  if (call.count == 4) return linear_hist(call, aggregate);
  const bool log_linear = call.count == 2 && call.arg(1).type == runtime::Type::String &&
                          call.arg(1).string()->view() == "log-linear";
  if (call.count != 1 && !log_linear) {
    return call.machine.fail(
        "hist is called as hist(c), as hist(c, lo, hi, step) or as hist(c, \"log-linear\")");
  }
  Distribution distribution;
  distribution.kind = log_linear ? Distribution::Kind::LogLinear : Distribution::Kind::Pow2;
  if (aggregate != nullptr) distribution = log_linear ? aggregate->log_linear() : aggregate->pow2();
  return give_distribution(call, std::move(distribution));
}

}  // namespace lib
}  // namespace ktap::vm

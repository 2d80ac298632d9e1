// Strings that a handler makes. Nothing is made where it is written: the call is kept with its
// arguments (Kind::Rendered), and where the result is printed user space does the call on what the
// record brings, which costs the kernel nothing. `..` is kept as the format that prints the same.
#include <fmt/format.h>

#include <utility>

#include "lower/lowerer.h"
#include "runtime/text.h"
#include "runtime/value.h"

namespace ktap::lower {

namespace {

using bytecode::Builtin;

/// The VM's words for a `..` on nil.
const char* const kConcatOfNil = "'..' joins strings and numbers, got nil";

std::string float_text(double number) {
  std::string text;
  runtime::append_text(text, runtime::Value::of(number));
  return text;
}

}  // namespace

AbstractValue Lowerer::rendered(Builtin builtin, std::vector<AbstractValue> args, bool may_be_nil) {
  AbstractValue value = AbstractValue::of_kind(Kind::Rendered);
  value.integer = static_cast<int64_t>(builtin);
  value.parts = std::move(args);
  value.may_be_nil = may_be_nil;
  return value;
}

/// a .. b .. c, checked from the left like the VM does.
AbstractValue Lowerer::concat(const std::vector<AbstractValue>& operands) {
  std::string known;  // text of constants that stand side by side
  std::string pattern;
  std::vector<AbstractValue> parts{AbstractValue::nil()};
  const auto flush = [&] {
    if (known.empty()) return;
    pattern += "%s";
    parts.push_back(AbstractValue::string(std::exchange(known, {})));
  };
  for (const AbstractValue& operand : operands) {
    if (operand.is(Kind::Nil)) {
      fail_now(kConcatOfNil);
      return AbstractValue::nil();
    }
    if (operand.is(Kind::Str) || operand.is(Kind::Int) || operand.is(Kind::Float)) {
      known += operand.is(Kind::Str)   ? operand.text
               : operand.is(Kind::Int) ? fmt::format("{}", operand.integer)
                                       : float_text(operand.number);
      continue;
    }
    const ssa::Type type = ssa::sure_type(type_of(operand));
    const bool joins = type == ssa::Type::Int || type == ssa::Type::Str ||
                       (operand.is(Kind::Rendered) && !operand.may_be_nil) ||
                       operand.is(Kind::EventText) || operand.is(Kind::EventTextLine);
    if (!joins) {
      refuse_use("'..'", operand);
      return {};
    }
    flush();
    pattern += "%s";
    parts.push_back(check_not_nil(operand, kConcatOfNil));
  }
  if (parts.size() == 1) return AbstractValue::string(known);
  flush();
  parts[0] = AbstractValue::string(pattern);
  return rendered(Builtin::Format, std::move(parts));
}

/// format(…) whose arguments check_format() has passed.
AbstractValue Lowerer::format(const std::vector<AbstractValue>& args) {
  for (const AbstractValue& arg : args) {
    if (!arg.is(Kind::Undefined) && !arg.is(Kind::Table) && !arg.is(Kind::Function) &&
        !arg.is(Kind::Tuple) && !arg.is(Kind::Mixed)) {
      continue;
    }
    refuse_use("format()", arg);
    return {};
  }
  return rendered(Builtin::Format, args);
}

AbstractValue Lowerer::tostring(const AbstractValue& value) {
  switch (value.kind) {
    case Kind::Int:
      return AbstractValue::string(fmt::format("{}", value.integer));
    case Kind::Float:
      return AbstractValue::string(float_text(value.number));
    case Kind::Bool:
      return AbstractValue::string(value.integer != 0 ? "true" : "false");
    case Kind::Nil:
      return AbstractValue::string("nil");
    case Kind::Str:
    case Kind::EventText:
    case Kind::EventTextLine:
      return value;
    case Kind::Event:
      return AbstractValue::of_kind(Kind::EventText);
    case Kind::Rendered:
      if (value.result == runtime::Type::String && !value.may_be_nil) return value;
      return rendered(Builtin::Tostring, {value});
    case Kind::Ssa:
      if (type_of(value) == ssa::Type::Str) return value;
      return rendered(Builtin::Tostring, {value});
    default:
      refuse_use("tostring()", value);
      return {};
  }
}

/// Argument `number` of a library function that takes integers; fails where it is nil, in the VM's
/// words. Nothing after a refusal.
std::optional<AbstractValue> Lowerer::integer_argument(const AbstractValue& value,
                                                       const std::string& function, size_t number) {
  const std::string text =
      fmt::format("argument {} of '{}' is to be an integer, got nil", number, function);
  if (value.is(Kind::Nil)) {
    fail_now(text);
    return std::nullopt;
  }
  if (ssa::sure_type(type_of(value)) != ssa::Type::Int) {
    refuse_use(function + "()", value);
    return std::nullopt;
  }
  return check_not_nil(value, text);
}

/// signal_name(n) and its like: a string, or nil for a number that has no name.
AbstractValue Lowerer::name_of_number(Builtin builtin, const AbstractValue& number) {
  const std::string name = full_name(bytecode::builtin_info(builtin));
  const std::optional<AbstractValue> sure = integer_argument(number, name, 1);
  if (!sure) return AbstractValue::nil();
  return rendered(builtin, {*sure}, true);
}

}  // namespace ktap::lower

// Strings that a handler makes. Nothing is made where it is written: the call is kept with its
// arguments (Kind::Rendered), and where the result is printed user space does the call on what the
// record brings, which costs the kernel nothing. `..` is kept as the format that prints the same.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/limits.h"
#include "base/printf_format.h"
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
  if (auto result =
          by_type(operands, [&](const std::vector<AbstractValue>& v) { return concat(v); })) {
    return *result;
  }
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
      fail_by_types(operand, AbstractValue::nil(), "'..'", [](runtime::Value of, runtime::Value) {
        return fmt::format("'..' joins strings and numbers, got {}", runtime::type_phrase(of.type));
      });
      return AbstractValue::nil();
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

/// An argument of a type that the function does not take.
void Lowerer::fail_argument(const AbstractValue& value, const std::string& function, size_t number,
                            const char* takes) {
  fail_by_types(value, AbstractValue::nil(), function + "()",
                [&](runtime::Value of, runtime::Value) {
                  return fmt::format("argument {} of '{}' is to be {}, got {}", number, function,
                                     takes, runtime::type_phrase(of.type));
                });
}

/// Argument `number` of a library function that takes integers; fails where it is nil, in the VM's
/// words. Nothing after a refusal.
std::optional<AbstractValue> Lowerer::integer_argument(const AbstractValue& value,
                                                       const std::string& function, size_t number) {
  if (ssa::sure_type(type_of(value)) != ssa::Type::Int) {
    fail_argument(value, function, number, "an integer");
    return std::nullopt;
  }
  return check_not_nil(
      value, fmt::format("argument {} of '{}' is to be an integer, got nil", number, function));
}

/// signal_name(n) and its like: a string, or nil for a number that has no name.
AbstractValue Lowerer::name_of_number(Builtin builtin, const AbstractValue& number) {
  const std::string name = full_name(bytecode::builtin_info(builtin));
  const std::optional<AbstractValue> sure = integer_argument(number, name, 1);
  if (!sure) return AbstractValue::nil();
  return rendered(builtin, {*sure}, true);
}

// ---- text that the kernel makes
// ------------------------------------------------------------------------------

/// Bytes that the string has at most; nothing when the kernel cannot make it.
std::optional<uint32_t> Lowerer::text_bound(const AbstractValue& value) const {
  if (value.is(Kind::Str)) {
    if (value.text.find('\0') != std::string::npos || value.text.size() > limits::kMaxMadeBytes)
      return std::nullopt;
    return static_cast<uint32_t>(value.text.size());
  }
  if (value.is(Kind::Ssa)) {
    const ssa::Inst& inst = function_[value.id];
    if (ssa::sure_type(inst.type) == ssa::Type::Int) return ssa::kIntTextBytes;
    if (ssa::sure_type(inst.type) == ssa::Type::Bool) return 5;
    if (inst.str_kind == ssa::StrKind::Bytes) return inst.max_bytes;
    size_t longest = 0;
    for (const schema::EventPtr& e : group_.events) longest = std::max(longest, e->name.size());
    for (const std::string& text : linkage_.module.strings) {
      if (inst.op == ssa::Op::EventVar) break;
      if (text.find('\0') != std::string::npos) return std::nullopt;  // it may be this one
      longest = std::max(longest, text.size());
    }
    return static_cast<uint32_t>(longest);
  }
  if (!value.is(Kind::Rendered) || value.may_be_nil) return std::nullopt;
  uint32_t bound = 0;
  switch (static_cast<Builtin>(value.integer)) {
    case Builtin::Format:
    case Builtin::StringFormat: {
      std::string error;
      size_t next = 1;
      for (const FormatPiece& piece : parse_format(value.parts[0].text, &error)) {
        if (piece.conversion == 0) {
          bound += static_cast<uint32_t>(piece.literal.size());
          continue;
        }
        const AbstractValue& part = value.parts[next++];
        const bool is_plain = !piece.left && !piece.plus && !piece.space && !piece.zero &&
                              piece.width.kind == FormatPiece::Amount::Kind::None &&
                              piece.precision.kind == FormatPiece::Amount::Kind::None;
        const bool is_int = ssa::sure_type(type_of(part)) == ssa::Type::Int;
        const bool fits = piece.conversion == 's' ||
                          ((piece.conversion == 'd' || piece.conversion == 'i') && is_int);
        const std::optional<uint32_t> most =
            part.is(Kind::Int) ? ssa::kIntTextBytes : text_bound(part);
        if (!is_plain || !fits || !most) return std::nullopt;
        bound += *most;
      }
      break;
    }
    case Builtin::StringSub:
      if (value.parts[1].is(Kind::Rendered) || value.parts[2].is(Kind::Rendered))
        return std::nullopt;
      [[fallthrough]];
    case Builtin::StringUpper:
    case Builtin::StringLower:
    case Builtin::Tostring: {
      const std::optional<uint32_t> most = text_bound(value.parts[0]);
      if (!most) return std::nullopt;
      bound = *most;
      break;
    }
    default:
      return std::nullopt;
  }
  if (bound > limits::kMaxMadeBytes) return std::nullopt;
  return bound;
}

/// The string as a constant or as an SSA Str; refuses what only user space can make.
AbstractValue Lowerer::text_value(const AbstractValue& value) {
  if (value.is(Kind::Str) || (value.is(Kind::Ssa) && type_of(value) == ssa::Type::Str))
    return value;
  if (stopped()) return {};
  if (!text_bound(value)) {
    const bool has_form =
        value.is(Kind::Rendered) && static_cast<Builtin>(value.integer) == Builtin::Format;
    refuse(fmt::format("{} is more than printed here{}", describe(value),
                       has_form ? fmt::format(", and may have more than {} bytes or is more than "
                                              "text and integers",
                                              limits::kMaxMadeBytes)
                                : ""));
    return {};
  }
  return make_text(value);
}

/// Requires: text_bound() has one.
AbstractValue Lowerer::make_text(const AbstractValue& call) {
  switch (static_cast<Builtin>(call.integer)) {
    case Builtin::Tostring:
      return make_tostring(call.parts[0]);
    case Builtin::StringSub:
      return slice(call.parts[0], call.parts[1], call.parts[2]);
    case Builtin::StringUpper:
    case Builtin::StringLower: {
      const AbstractValue text = text_value(call.parts[0]);
      if (stopped() || text_bound(text) == 0) return text;
      ssa::Inst inst{ssa::Op::StrCase, ssa::Type::Str, ssa::StrKind::Bytes, *text_bound(text)};
      inst.imm = static_cast<Builtin>(call.integer) == Builtin::StringUpper ? 1 : 0;
      inst.operands = {text_bytes(text)};
      return AbstractValue::ssa(emit(std::move(inst)));
    }
    default:
      return make_format(call);
  }
}

AbstractValue Lowerer::make_tostring(const AbstractValue& value) {
  if (is_maybe(value)) {
    AbstractValue sure = value;
    const ssa::BlockId absent = enter_where_there(sure);
    AbstractValue text = make_tostring(sure);
    return join({{absent, {AbstractValue::string("nil")}, 0}, {current_, {text}, 0}})[0];
  }
  switch (type_of(value)) {
    case ssa::Type::Int: {
      ssa::Inst inst{ssa::Op::StrText, ssa::Type::Str, ssa::StrKind::Bytes, ssa::kIntTextBytes};
      inst.operands = {to_int(value, "tostring()")};
      return AbstractValue::ssa(emit(std::move(inst)));
    }
    case ssa::Type::Bool: {
      const ssa::BlockId yes = new_block();
      const ssa::BlockId no = new_block();
      branch(value.id, yes, no);
      return join({{yes, {AbstractValue::string("true")}, 0},
                   {no, {AbstractValue::string("false")}, 0}})[0];
    }
    default:
      return text_value(value);
  }
}

AbstractValue Lowerer::make_format(const AbstractValue& call) {
  std::string error;
  std::vector<ssa::ValueId> parts;
  uint32_t bytes = 0;
  size_t next = 1;
  for (const FormatPiece& piece : parse_format(call.parts[0].text, &error)) {
    const AbstractValue part = piece.conversion == 0 ? AbstractValue::string(piece.literal)
                                                     : make_tostring(call.parts[next++]);
    if (stopped()) return {};
    if (text_bound(part) == 0) continue;
    bytes += *text_bound(part);
    parts.push_back(text_bytes(part));
  }
  if (parts.empty()) return AbstractValue::string("");
  if (parts.size() == 1) return AbstractValue::ssa(parts[0]);
  ssa::Inst inst{ssa::Op::StrJoin, ssa::Type::Str, ssa::StrKind::Bytes, bytes};
  inst.operands = std::move(parts);
  return AbstractValue::ssa(emit(std::move(inst)));
}

/// A Str as operand of what reads its characters: a literal, or Bytes.
ssa::ValueId Lowerer::text_bytes(const AbstractValue& value) {
  if (value.is(Kind::Str)) return const_str(value.text);
  const ssa::Inst& inst = function_[value.id];
  if (inst.str_kind == ssa::StrKind::Bytes || inst.op == ssa::Op::ConstStr) return value.id;
  ssa::Inst bytes{ssa::Op::StrBytes, ssa::Type::Str, ssa::StrKind::Bytes,
                  std::max(text_bound(value).value_or(0), uint32_t{1})};
  if (bytes.max_bytes > limits::kMaxMadeBytes) refuse("a string of the script that is too long");
  bytes.operands = {value.id};
  return emit(std::move(bytes));
}

/// Before ways meet: a string that is kept as a call is made on its way where it meets another one.
void Lowerer::make_texts(std::vector<Edge>& edges) {
  for (size_t i = 0; i < edges[0].values.size(); ++i) {
    bool all_same = true, all_texts = true, any_call = false;
    for (const Edge& edge : edges) {
      const AbstractValue& value = edge.values[i];
      all_same = all_same && same(value, edges[0].values[i]);
      any_call = any_call || value.is(Kind::Rendered);
      const bool is_string = value.is(Kind::Str) ||
                             ssa::sure_type(type_of(value)) == ssa::Type::Str ||
                             (value.is(Kind::Rendered) && text_bound(value));
      all_texts = all_texts && (value.is(Kind::Nil) || is_string);
    }
    if (all_same || !all_texts || !any_call) continue;
    for (Edge& edge : edges) {
      if (!edge.values[i].is(Kind::Rendered)) continue;
      current_ = edge.block;
      const AbstractValue text = make_text(edge.values[i]);
      edge.values[i] = text;
      edge.block = current_;
    }
  }
}

}  // namespace ktap::lower

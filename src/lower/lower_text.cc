// Strings that a handler makes. Nothing is made where it is written: the call is kept with its
// arguments (Kind::Rendered), and where the result is printed user space does the call on what the
// record brings, which costs the kernel nothing. `..` is kept as the format that prints the same.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/limits.h"
#include "base/printf_format.h"
#include "lower/kernel_types.h"
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

/// Bytes that the name of a number has at most, with room for "nil".
constexpr uint32_t kLongestName = 32;
/// Of an enum that the kernel can name: they take memory of each program. Guessed.
constexpr int64_t kMostNames = 1024;

/// Of nil, a boolean or a number.
std::string text_of_constant(const AbstractValue& value) {
  switch (value.kind) {
    case AbstractValue::Kind::Int:
      return fmt::format("{}", value.integer);
    case AbstractValue::Kind::Float:
      return float_text(value.number);
    case AbstractValue::Kind::Bool:
      return value.integer != 0 ? "true" : "false";
    default:
      return "nil";
  }
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
    case Kind::Float:
    case Kind::Bool:
    case Kind::Nil:
      return AbstractValue::string(text_of_constant(value));
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

/// enum_name("enum pid_type", n): the same.
AbstractValue Lowerer::name_of_enum(const std::vector<AbstractValue>& args) {
  if (!args[0].is(Kind::Str)) {
    refuse("enum_name() of an enum that is not known before the handlers run");
    return {};
  }
  const schema::KernelTypes* types = kernel_types();
  if (types == nullptr) return {};
  const Result<schema::CType> type = enum_type(*types, args[0].text, &linkage_.mistakes);
  if (!type.ok()) {
    linkage_.mistakes.back().span = place_.span;
    linkage_.mistakes.back().line = place_.line;
    refuse(type.error().message);
    return {};
  }
  const std::optional<AbstractValue> sure = integer_argument(args[1], "enum_name", 2);
  if (!sure) return AbstractValue::nil();
  AbstractValue call = rendered(Builtin::EnumName, {args[0], *sure}, true);
  call.ctype = type.value();
  return call;
}

/// Whether the kernel can know the names: by number, in a table.
bool Lowerer::can_settle(const AbstractValue& call) const {
  if (static_cast<Builtin>(call.integer) != Builtin::EnumName)
    return options_.machine.names != nullptr;
  const auto all = options_.machine.types()->enumerators(call.ctype);
  return std::all_of(all.begin(), all.end(),
                     [](const auto& name) { return name.second >= 0 && name.second < kMostNames; });
}

/// By number, "" for none. Requires: can_settle().
std::vector<std::string> Lowerer::names_of(const AbstractValue& call) const {
  const NumberNames* all = options_.machine.names;
  const auto builtin = static_cast<Builtin>(call.integer);
  if (builtin == Builtin::SyscallName) return all->syscalls;
  if (builtin == Builtin::ErrnoName) return all->errnos;
  if (builtin == Builtin::SignalName) return all->signals;
  std::vector<std::string> names;
  for (const auto& [name, number] : options_.machine.types()->enumerators(call.ctype)) {
    const auto at = static_cast<size_t>(number);
    names.resize(std::max(names.size(), at + 1));
    if (names[at].empty()) names[at] = name;
  }
  return names;
}

/// What name_of_number() keeps as a call, as a string that may be nil; as it is where only user
/// space knows the names.
AbstractValue Lowerer::settled(const AbstractValue& call) {
  if (!call.is(Kind::Rendered) || !call.may_be_nil || !can_settle(call)) return call;
  const std::vector<std::string> names = names_of(call);
  AbstractValue number = call.parts.back();
  if (static_cast<Builtin>(call.integer) == Builtin::ErrnoName) {
    // Results of system calls are negative errors.
    number = extreme(ssa::Op::Max, number,
                     arithmetic(ssa::Op::Sub, AbstractValue::of(int64_t{0}), number));
  }
  if (number.is(Kind::Int)) {
    const bool is_there = number.integer >= 0 &&
                          static_cast<uint64_t>(number.integer) < names.size() &&
                          !names[static_cast<size_t>(number.integer)].empty();
    return is_there ? AbstractValue::string(names[static_cast<size_t>(number.integer)])
                    : AbstractValue::nil();
  }
  std::vector<std::vector<std::string>>& known = linkage_.module.names;
  const auto at = static_cast<size_t>(std::find(known.begin(), known.end(), names) - known.begin());
  if (at == known.size()) known.push_back(names);
  ssa::Inst inst{ssa::Op::NumberName, ssa::Type::MaybeStr, ssa::StrKind::Bytes, 1};
  for (const std::string& name : names)
    inst.max_bytes = std::max(inst.max_bytes, static_cast<uint32_t>(name.size()));
  inst.imm = static_cast<int64_t>(at);
  inst.operands = {number.id};
  return AbstractValue::ssa(emit(std::move(inst)));
}

// ---- text that the kernel makes
// ------------------------------------------------------------------------------

/// Of a name that may be nil.
std::optional<uint32_t> Lowerer::name_bound(const AbstractValue& call) const {
  if (!can_settle(call)) return std::nullopt;
  if (static_cast<Builtin>(call.integer) != Builtin::EnumName) return kLongestName;
  uint32_t bound = 3;  // "nil"
  for (const auto& [name, number] : options_.machine.types()->enumerators(call.ctype))
    bound = std::max(bound, static_cast<uint32_t>(name.size()));
  return bound;
}

/// Bytes that the string has at most; nothing when the kernel cannot make it.
std::optional<uint32_t> Lowerer::text_bound(const AbstractValue& value) const {
  if (value.is(Kind::Str)) {
    if (has_nul(value.text) || value.text.size() > limits::kMaxMadeBytes) return std::nullopt;
    return static_cast<uint32_t>(value.text.size());
  }
  if (value.is(Kind::Ssa) && ssa::sure_type(type_of(value)) != ssa::Type::Stack) {
    const ssa::Inst& inst = function_[value.id];
    if (ssa::sure_type(inst.type) == ssa::Type::Int) return ssa::kIntTextBytes;
    if (ssa::sure_type(inst.type) == ssa::Type::Bool) return 5;
    if (inst.str_kind == ssa::StrKind::Bytes) return inst.max_bytes;
    size_t longest = 0;
    for (const schema::EventPtr& e : group_.events) longest = std::max(longest, e->name.size());
    if (inst.op == ssa::Op::EventVar) return static_cast<uint32_t>(longest);
    // It may be any string of the script, those of code that comes later among them.
    const std::optional<uint32_t> known = longest_name(linkage_.module);
    if (!known || linkage_.shapes.names_have_nul) return std::nullopt;
    const uint32_t bound =
        std::max({static_cast<uint32_t>(longest), *known, linkage_.shapes.longest_name});
    linkage_.least_name_bound = std::min(linkage_.least_name_bound.value_or(bound), bound);
    return bound;
  }
  if (value.is(Kind::Nil) || value.is(Kind::Bool) || value.is(Kind::Float))
    return static_cast<uint32_t>(text_of_constant(value).size());
  if (value.is(Kind::Int)) return ssa::kIntTextBytes;
  if (!value.is(Kind::Rendered)) return std::nullopt;
  uint32_t bound = 0;
  if (value.may_be_nil) {
    return name_bound(value);
  }
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
        const std::optional<uint32_t> most = piece_bound(piece, value.parts[next]);
        if (!most) return std::nullopt;
        bound += *most;
        next += static_cast<size_t>(piece.argument_count());
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
  if (stopped()) return {};
  if (value.is(Kind::Str)) return value;
  if (value.is(Kind::Ssa) && type_of(value) == ssa::Type::Str) {
    if (text_bound(value)) return value;
    refuse(kNoBytes);
    return {};
  }
  if (!text_bound(value)) {
    refuse(why_no_text(value));
    return {};
  }
  return make_text(value);
}

/// In words for the user.
std::string Lowerer::why_no_text(const AbstractValue& value) const {
  const bool has_form =
      value.is(Kind::Rendered) && (static_cast<Builtin>(value.integer) == Builtin::Format ||
                                   static_cast<Builtin>(value.integer) == Builtin::StringFormat);
  const bool is_field = value.is(Kind::Rendered) &&
                        static_cast<Builtin>(value.integer) == Builtin::Buf &&
                        function_[value.parts[0].id].op == ssa::Op::EventField;
  if (is_field) return "an array of bytes is more than printed here";
  if (!has_form) return fmt::format("{} is more than printed here", describe(value));
  const std::string& format = value.parts[0].text;
  std::string error;
  size_t next = 1;
  for (const FormatPiece& piece : parse_format(format, &error)) {
    if (piece.conversion == 0) continue;
    const AbstractValue& part = value.parts[next];
    next += static_cast<size_t>(piece.argument_count());
    if (piece_bound(piece, part)) continue;
    const std::string what = format.substr(piece.begin, piece.end - piece.begin);
    if (what != "%s") return fmt::format("what '{}' makes is more than printed here", what);
    if (part.is(Kind::Str) && part.text.find('\0') != std::string::npos)
      return "a string with a zero byte in it is put together here, and not only printed";
    if (!part.is(Kind::Str) && !part.is(Kind::Rendered))
      return fmt::format("text made of {} is more than printed here", describe(part));
  }
  return fmt::format(
      "a string that is put together here, and not only printed, may get longer "
      "than {} bytes",
      limits::kMaxMadeBytes);
}

/// Bytes that one conversion makes at most; nothing when the kernel cannot do it.
std::optional<uint32_t> Lowerer::piece_bound(const FormatPiece& piece,
                                             const AbstractValue& part) const {
  using Amount = FormatPiece::Amount::Kind;
  constexpr int kMostPadding = 128;  // guessed: columns of text
  const char conversion = piece.conversion;
  const bool is_string = conversion == 's';
  const bool is_unsigned = conversion == 'u' || conversion == 'x' || conversion == 'X';
  if (!is_string && !is_unsigned && conversion != 'd' && conversion != 'i') return std::nullopt;
  if (piece.plus || piece.space || piece.alternate || piece.width.kind == Amount::Argument ||
      piece.precision.kind == Amount::Argument) {
    return std::nullopt;
  }
  const bool is_cut = piece.precision.kind == Amount::Number;
  if (is_string ? piece.zero : is_cut || type_of(part) != ssa::Type::Int) return std::nullopt;
  std::optional<uint32_t> most = is_string ? text_bound(part) : ssa::kIntTextBytes;
  if (!most) return std::nullopt;
  if (is_cut) most = std::min(*most, static_cast<uint32_t>(piece.precision.value));
  if (piece.width.kind == Amount::None) return most;
  if (piece.width.value > kMostPadding) return std::nullopt;
  return *most + static_cast<uint32_t>(piece.width.value) + (piece.zero ? 1 : 0);
}

/// Requires: text_bound() has one.
AbstractValue Lowerer::make_text(const AbstractValue& call) {
  if (call.may_be_nil) return settled(call);
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
  if (value.is(Kind::Rendered) && value.may_be_nil) return make_tostring(settled(value));
  if (value.is(Kind::Nil) || value.is(Kind::Bool) || value.is(Kind::Int) || value.is(Kind::Float))
    return AbstractValue::string(text_of_constant(value));
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

/// `width` blanks or zeros, less one for each byte of the text that stands beside them.
AbstractValue Lowerer::padding(char fill, int64_t width, const AbstractValue& beside) {
  if (width == 0) return AbstractValue::string("");
  const AbstractValue taken = length(beside);
  if (stopped()) return {};
  if (taken.is(Kind::Int)) {
    const int64_t left = std::max<int64_t>(width - taken.integer, 0);
    return AbstractValue::string(std::string(static_cast<size_t>(left), fill));
  }
  const ssa::ValueId left = op2(ssa::Op::Sub, ssa::Type::Int, const_int(width), taken.id);
  ssa::Inst inst{ssa::Op::StrSub, ssa::Type::Str, ssa::StrKind::Bytes,
                 static_cast<uint32_t>(width)};
  inst.operands = {const_str(std::string(static_cast<size_t>(width), fill)), const_int(0),
                   op2(ssa::Op::Max, ssa::Type::Int, left, const_int(0))};
  return AbstractValue::ssa(emit(std::move(inst)));
}

AbstractValue Lowerer::number_text(ssa::ValueId number, char conversion) {
  ssa::Inst inst{ssa::Op::StrText, ssa::Type::Str, ssa::StrKind::Bytes, ssa::kIntTextBytes};
  inst.imm = conversion == 'd' ? 0 : conversion == 'u' ? 10 : 16;
  inst.operands = {number};
  const ssa::ValueId text = emit(std::move(inst));
  if (conversion != 'X') return AbstractValue::ssa(text);
  ssa::Inst upper{ssa::Op::StrCase, ssa::Type::Str, ssa::StrKind::Bytes, ssa::kIntTextBytes};
  upper.imm = 1;
  upper.operands = {text};
  return AbstractValue::ssa(emit(std::move(upper)));
}

/// The sign stands before the zeros: it is made apart, and counts as one byte of the width.
void Lowerer::signed_with_zeros(ssa::ValueId number, int64_t width,
                                std::vector<AbstractValue>& texts) {
  const ssa::ValueId signs = op2(ssa::Op::Sar, ssa::Type::Int, number, const_int(63));
  const ssa::ValueId magnitude =
      op2(ssa::Op::Sub, ssa::Type::Int, op2(ssa::Op::Xor, ssa::Type::Int, number, signs), signs);
  const AbstractValue digits = number_text(magnitude, 'u');
  const ssa::ValueId taken =
      op2(ssa::Op::Sub, ssa::Type::Int, op1(ssa::Op::StrLen, ssa::Type::Int, digits.id), signs);
  const auto some_of = [this](const std::string& text, ssa::ValueId count) {
    ssa::Inst inst{ssa::Op::StrSub, ssa::Type::Str, ssa::StrKind::Bytes,
                   static_cast<uint32_t>(text.size())};
    inst.operands = {const_str(text), const_int(0), count};
    return AbstractValue::ssa(emit(std::move(inst)));
  };
  texts.push_back(some_of("-", op2(ssa::Op::And, ssa::Type::Int, signs, const_int(1))));
  const ssa::ValueId left = op2(ssa::Op::Sub, ssa::Type::Int, const_int(width), taken);
  texts.push_back(some_of(std::string(static_cast<size_t>(width), '0'),
                          op2(ssa::Op::Max, ssa::Type::Int, left, const_int(0))));
  texts.push_back(digits);
}

/// Requires: piece_bound() has one.
void Lowerer::make_piece(const FormatPiece& piece, const AbstractValue& part,
                         std::vector<AbstractValue>& texts) {
  using Amount = FormatPiece::Amount::Kind;
  const int64_t width = piece.width.kind == Amount::Number ? piece.width.value : 0;
  const bool is_signed = piece.conversion == 'd' || piece.conversion == 'i';
  const bool has_zeros = piece.zero && !piece.left && width > 0;
  if (is_signed && has_zeros) return signed_with_zeros(to_int(part, "format()"), width, texts);
  AbstractValue text;
  if (piece.conversion == 's' || is_signed) {
    text = make_tostring(part);
  } else {
    text = number_text(to_int(part, "format()"), piece.conversion);
  }
  if (!stopped() && piece.precision.kind == Amount::Number) {
    text = slice(text, AbstractValue::of(int64_t{1}),
                 AbstractValue::of(static_cast<int64_t>(piece.precision.value)));
  }
  if (stopped()) return;
  const AbstractValue blanks = padding(has_zeros ? '0' : ' ', width, text);
  if (!piece.left) texts.push_back(blanks);
  texts.push_back(text);
  if (piece.left) texts.push_back(blanks);
}

AbstractValue Lowerer::make_format(const AbstractValue& call) {
  std::string error;
  std::vector<AbstractValue> texts;
  std::vector<ssa::ValueId> parts;
  uint32_t bytes = 0;
  size_t next = 1;
  for (const FormatPiece& piece : parse_format(call.parts[0].text, &error)) {
    if (piece.conversion == 0) {
      texts.push_back(AbstractValue::string(piece.literal));
      continue;
    }
    make_piece(piece, call.parts[next], texts);
    if (stopped()) return {};
    next += static_cast<size_t>(piece.argument_count());
  }
  for (const AbstractValue& part : texts) {
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
  if (value.is(Kind::Str)) {
    if (has_nul(value.text)) refuse(kNoBytes);
    return const_str(value.text);
  }
  const ssa::Inst& inst = function_[value.id];
  if (inst.str_kind == ssa::StrKind::Bytes || inst.op == ssa::Op::ConstStr) return value.id;
  const std::optional<uint32_t> bound = text_bound(value);
  if (!bound || *bound > limits::kMaxMadeBytes) refuse(kNoBytes);
  ssa::Inst bytes{ssa::Op::StrBytes, ssa::Type::Str, ssa::StrKind::Bytes,
                  std::max(bound.value_or(0), uint32_t{1})};
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

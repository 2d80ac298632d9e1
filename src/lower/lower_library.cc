// The string and math libraries. Strings that they make are kept as calls (lower_text.cc) and made
// by the kernel only where their characters matter there; numbers and truths are computed here.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/glob.h"
#include "lower/lowerer.h"
#include "runtime/parse_number.h"
#include "ssa/buckets.h"

namespace ktap::lower {

using bytecode::Builtin;

namespace {

constexpr int64_t kMaxRepeats = 100;     // guessed: as many operands of a joining
constexpr size_t kMostTimeFormat = 256;  // guessed: bytes, for text far below what a string holds

/// Whether three digits stand side by side: it may be a width that strftime() does not take.
bool has_long_number(const std::string& format) {
  size_t digits = 0;
  for (const char c : format) {
    digits = c >= '0' && c <= '9' ? digits + 1 : 0;
    if (digits > 2) return true;
  }
  return false;
}

}  // namespace

/// Argument `number` of a function that takes strings; fails where it is nil, in the VM's words.
std::optional<AbstractValue> Lowerer::string_argument(const AbstractValue& value,
                                                      const std::string& function, size_t number) {
  const bool is_text =
      value.is(Kind::EventText) || value.is(Kind::EventTextLine) ||
      (value.is(Kind::Rendered) && value.result == runtime::Type::String && !value.may_be_nil);
  if (is_text) return value;
  if (ssa::sure_type(type_of(value)) != ssa::Type::Str) {
    fail_argument(value, function, number, "a string");
    return std::nullopt;
  }
  return check_not_nil(
      value, fmt::format("argument {} of '{}' is to be a string, got nil", number, function));
}

std::optional<AbstractValue> Lowerer::call_library(Builtin builtin,
                                                   const std::vector<AbstractValue>& args) {
  switch (builtin) {
    case Builtin::StringLen:
    case Builtin::StringSub:
    case Builtin::StringUpper:
    case Builtin::StringLower:
    case Builtin::StringTrim:
    case Builtin::StringFind:
    case Builtin::StringStarts:
    case Builtin::StringEnds:
    case Builtin::StringByte:
    case Builtin::StringRep:
      return call_string(builtin, args);
    case Builtin::StringChar:
      return characters(args);
    case Builtin::NetIp:
    case Builtin::NetFormatIpAddr:
      return ip_address(builtin, args[0]);
    case Builtin::Strftime:
      return text_of_time(args);
    case Builtin::Tonumber:
      return number_of(args);
    case Builtin::MathLog2:
      return log2_of(args[0]);
    case Builtin::MathAbs:
    case Builtin::MathMin:
    case Builtin::MathMax:
    case Builtin::MathFloor:
      return call_math(builtin, args);
    default:
      return std::nullopt;
  }
}

/// Checks the arguments from the left, like the VM, then goes to the function.
AbstractValue Lowerer::call_string(Builtin builtin, const std::vector<AbstractValue>& args) {
  const std::string name = full_name(bytecode::builtin_info(builtin));
  const bool two_strings = builtin == Builtin::StringFind || builtin == Builtin::StringStarts ||
                           builtin == Builtin::StringEnds;
  std::vector<AbstractValue> sure;
  for (size_t i = 0; i < args.size(); ++i) {
    const bool may_lack = i == 2 || (i == 1 && builtin == Builtin::StringByte);
    if (may_lack && args[i].is(Kind::Nil)) break;
    if (may_lack && is_maybe(args[i])) {
      refuse(fmt::format("{}() with a place that may be nil", name));
      return {};
    }
    const bool is_string =
        i == 0 || (two_strings && i == 1) || (i == 2 && builtin == Builtin::StringRep);
    const std::optional<AbstractValue> arg =
        is_string ? string_argument(args[i], name, i + 1) : integer_argument(args[i], name, i + 1);
    if (!arg) return AbstractValue::nil();
    sure.push_back(*arg);
  }
  if (stopped()) return {};
  switch (builtin) {
    case Builtin::StringLen:
      return length(sure[0]);
    case Builtin::StringSub:
      if (sure.size() == 2) sure.push_back(AbstractValue::of(int64_t{-1}));
      [[fallthrough]];
    case Builtin::StringUpper:
    case Builtin::StringLower:
    case Builtin::StringTrim:
      return rendered(builtin, std::move(sure));
    case Builtin::StringRep:
      return repeat(std::move(sure));
    case Builtin::StringFind:
      return find(sure);
    case Builtin::StringByte:
      return byte_of(sure[0], sure.size() > 1 ? sure[1] : AbstractValue::of(int64_t{1}));
    default:
      return to_value(begins_or_ends(sure[0], sure[1], builtin == Builtin::StringEnds));
  }
}

/// A position as scripts give it as one that counts from the start: 0 is before the string.
ssa::ValueId Lowerer::from_start(const AbstractValue& position, ssa::ValueId length) {
  const auto from_end = [&](ssa::ValueId p) {
    const ssa::ValueId behind = op2(ssa::Op::Add, ssa::Type::Int, length, const_int(1));
    const ssa::ValueId place = op2(ssa::Op::Add, ssa::Type::Int, behind, p);
    return op2(ssa::Op::Max, ssa::Type::Int, place, const_int(0));
  };
  if (position.is(Kind::Int)) {
    const ssa::ValueId p = const_int(position.integer);
    return position.integer < 0 ? from_end(p) : p;
  }
  const ssa::BlockId counts_back = new_block();
  const ssa::BlockId counts_on = new_block();
  branch(op2(ssa::Op::Lt, ssa::Type::Bool, position.id, const_int(0)), counts_back, counts_on);
  current_ = counts_back;
  const AbstractValue back = AbstractValue::ssa(from_end(position.id));
  return join({{current_, {back}, 0}, {counts_on, {position}, 0}})[0].id;
}

/// string.sub(text, first, last) as a Str of the kernel.
AbstractValue Lowerer::slice(const AbstractValue& of, const AbstractValue& first,
                             const AbstractValue& last) {
  const AbstractValue text = text_value(of);
  if (stopped()) return {};
  const int64_t bound = text.is(Kind::Str) ? static_cast<int64_t>(text.text.size())
                                           : int64_t{text_bound(text).value_or(0)};
  const bool is_known =
      first.is(Kind::Int) && first.integer >= 0 && last.is(Kind::Int) && last.integer >= -1;
  if (is_known) {
    const int64_t begin = std::max<int64_t>(first.integer, 1) - 1;
    const int64_t end = last.integer < 0 ? bound : std::min(last.integer, bound);
    if (begin >= end) return AbstractValue::string("");
    if (text.is(Kind::Str)) {
      const auto from = std::min(static_cast<size_t>(begin), text.text.size());
      return AbstractValue::string(text.text.substr(from, static_cast<size_t>(end - begin)));
    }
    if (begin == 0 && end == bound) return text;
    ssa::Inst inst{ssa::Op::StrSlice, ssa::Type::Str, ssa::StrKind::Bytes,
                   static_cast<uint32_t>(end - begin)};
    inst.imm = begin;
    inst.operands = {text_bytes(text)};
    return AbstractValue::ssa(emit(std::move(inst)));
  }
  if (bound == 0) return AbstractValue::string("");
  const ssa::ValueId bytes = text_bytes(text);
  const ssa::ValueId length = op1(ssa::Op::StrLen, ssa::Type::Int, bytes);
  const ssa::ValueId one = const_int(1);
  const ssa::ValueId from = op2(ssa::Op::Max, ssa::Type::Int, from_start(first, length), one);
  const ssa::ValueId to = op2(ssa::Op::Min, ssa::Type::Int, from_start(last, length), length);
  const ssa::ValueId before = op2(ssa::Op::Sub, ssa::Type::Int, from, one);
  const ssa::ValueId count = op2(ssa::Op::Max, ssa::Type::Int,
                                 op2(ssa::Op::Sub, ssa::Type::Int, to, before), const_int(0));
  ssa::Inst inst{ssa::Op::StrSub, ssa::Type::Str, ssa::StrKind::Bytes,
                 static_cast<uint32_t>(bound)};
  inst.operands = {bytes, op2(ssa::Op::Min, ssa::Type::Int, before, const_int(bound)), count};
  const ssa::ValueId part = emit(std::move(inst));
  // The last bytes are no more than asked for: a string that is cut so each time it grows has an
  // end.
  if (!first.is(Kind::Int) || !last.is(Kind::Int) || first.integer >= 0 || last.integer < -1)
    return AbstractValue::ssa(part);
  if (first.integer <= -bound) return AbstractValue::ssa(part);
  ssa::Inst cut{ssa::Op::StrSlice, ssa::Type::Str, ssa::StrKind::Bytes,
                static_cast<uint32_t>(-first.integer)};
  cut.operands = {part};
  return AbstractValue::ssa(emit(std::move(cut)));
}

AbstractValue Lowerer::byte_of(const AbstractValue& of, const AbstractValue& position) {
  AbstractValue text = text_value(of);
  if (stopped()) return {};
  ssa::Inst inst{ssa::Op::StrByte, ssa::Type::Int};
  if (text.is(Kind::Str) && position.is(Kind::Int) && position.integer >= 0) {
    const auto size = static_cast<int64_t>(text.text.size());
    if (position.integer == 0 || position.integer > size) return AbstractValue::nil();
    return AbstractValue::of(
        int64_t{static_cast<uint8_t>(text.text[static_cast<size_t>(position.integer - 1)])});
  }
  if (position.is(Kind::Int) && position.integer >= 0) {
    if (position.integer == 0 || position.integer > text_bound(text).value_or(0))
      return AbstractValue::nil();
    inst.imm = position.integer - 1;
  } else {
    // A place before the begin has no byte, but a slice from there has: made sure before.
    const ssa::ValueId length = op1(ssa::Op::StrLen, ssa::Type::Int, text_bytes(text));
    const AbstractValue place = AbstractValue::ssa(from_start(position, length));
    text = slice(text, place, place);
    if (stopped()) return {};
  }
  inst.operands = {text_bytes(text)};
  const ssa::ValueId byte = emit(std::move(inst));
  return nil_where_zero(byte);
}

/// nil for 0, else the integer.
AbstractValue Lowerer::nil_where_zero(ssa::ValueId number) {
  const ssa::BlockId nothing = new_block();
  const ssa::BlockId something = new_block();
  branch(op2(ssa::Op::Eq, ssa::Type::Bool, number, const_int(0)), nothing, something);
  return join(
      {{nothing, {AbstractValue::nil()}, 0}, {something, {AbstractValue::ssa(number)}, 0}})[0];
}

/// string.find(text, what[, from]).
AbstractValue Lowerer::find(const std::vector<AbstractValue>& args) {
  const AbstractValue from = args.size() > 2 ? args[2] : AbstractValue::of(int64_t{1});
  if (!args[1].is(Kind::Str)) {
    refuse("string.find() of something that is not known before the handlers run");
    return {};
  }
  if (!from.is(Kind::Int) || from.integer < 0) {
    refuse("string.find() from a place that is not known, or from the end");
    return {};
  }
  const std::string& what = args[1].text;
  const bool is_glob = what.find_first_of("*?[") != std::string::npos;
  const std::string pattern = is_glob ? what : glob_escape(what);
  const std::optional<GlobBits> bits = glob_bits(pattern, true);
  if (!bits) {
    refuse("a glob of more than 64 parts");
    return {};
  }
  const int64_t skipped = std::max<int64_t>(from.integer, 1) - 1;
  if (skipped > 0 && (bits->start & bits->accept) != 0) {
    refuse("string.find() of nothing from a place behind the first");
    return {};
  }
  const AbstractValue text =
      slice(args[0], AbstractValue::of(skipped + 1), AbstractValue::of(int64_t{-1}));
  if (stopped()) return {};
  if (text.is(Kind::Str)) {
    const size_t at = is_glob ? glob_find(what, text.text, 0) : text.text.find(what);
    if (at == std::string::npos) return AbstractValue::nil();
    return AbstractValue::of(static_cast<int64_t>(at) + 1 + skipped);
  }
  ssa::Inst inst{ssa::Op::StrFind, ssa::Type::Int};
  inst.imm = linkage_.module.intern(what);
  inst.operands = {text_bytes(text)};
  const ssa::ValueId found = emit(std::move(inst));
  const ssa::BlockId nothing = new_block();
  const ssa::BlockId something = new_block();
  branch(op2(ssa::Op::Eq, ssa::Type::Bool, found, const_int(0)), nothing, something);
  current_ = something;
  const AbstractValue place =
      AbstractValue::ssa(op2(ssa::Op::Add, ssa::Type::Int, found, const_int(skipped)));
  return join({{nothing, {AbstractValue::nil()}, 0}, {current_, {place}, 0}})[0];
}

/// string.starts() and string.ends(): a glob where the part is known, a comparison with what is cut
/// off else.
Lowerer::Truth Lowerer::begins_or_ends(const AbstractValue& of, const AbstractValue& part,
                                       bool ends) {
  const AbstractValue text = text_value(of);
  const AbstractValue piece = text_value(part);
  if (stopped()) return Truth::of(false);
  if (piece.is(Kind::Str)) {
    if (has_nul(piece.text) && !text.is(Kind::Str)) return Truth::of(false);
    const std::string escaped = glob_escape(piece.text);
    const AbstractValue glob = AbstractValue::string(ends ? "*" + escaped : escaped + "*");
    return match(text, glob);
  }
  const ssa::ValueId length = op1(ssa::Op::StrLen, ssa::Type::Int, text_bytes(piece));
  AbstractValue first = AbstractValue::of(int64_t{1});
  AbstractValue last = AbstractValue::ssa(length);
  if (ends) {
    const ssa::ValueId whole = op1(ssa::Op::StrLen, ssa::Type::Int, text_bytes(text));
    const ssa::ValueId before = op2(ssa::Op::Sub, ssa::Type::Int, whole, length);
    first = AbstractValue::ssa(op2(ssa::Op::Max, ssa::Type::Int,
                                   op2(ssa::Op::Add, ssa::Type::Int, before, const_int(1)),
                                   const_int(1)));
    last = AbstractValue::ssa(whole);
  }
  const AbstractValue cut = slice(text, first, last);
  if (stopped()) return Truth::of(false);
  return equals(cut, piece);
}

/// Integers alone; a float refuses.
AbstractValue Lowerer::call_math(Builtin builtin, const std::vector<AbstractValue>& args) {
  const std::string name = full_name(bytecode::builtin_info(builtin));
  AbstractValue result;
  for (size_t i = 0; i < args.size(); ++i) {
    if (args[i].is(Kind::Float)) {
      refuse_use(name + "()", args[i]);
      return {};
    }
    if (ssa::sure_type(type_of(args[i])) != ssa::Type::Int) {
      fail_argument(args[i], name, i + 1, "a number");
      return AbstractValue::nil();
    }
    const AbstractValue sure = check_not_nil(
        args[i], fmt::format("argument {} of '{}' is to be a number, got nil", i + 1, name));
    if (builtin == Builtin::MathAbs) {
      return extreme(ssa::Op::Max, sure,
                     arithmetic(ssa::Op::Sub, AbstractValue::of(int64_t{0}), sure));
    }
    result = i == 0
                 ? sure
                 : extreme(builtin == Builtin::MathMin ? ssa::Op::Min : ssa::Op::Max, result, sure);
  }
  return result;
}

/// Of what is above 0 the bucket of its power of two tells.
AbstractValue Lowerer::log2_of(const AbstractValue& number) {
  if (number.is(Kind::Float)) {
    refuse_use("math.log2()", number);
    return {};
  }
  if (ssa::sure_type(type_of(number)) != ssa::Type::Int) {
    fail_argument(number, "math.log2", 1, "a number");
    return AbstractValue::nil();
  }
  const AbstractValue sure =
      check_not_nil(number, "argument 1 of 'math.log2' is to be a number, got nil");
  const std::string too_small = "argument 1 of 'math.log2' is to be above 0";
  if (sure.is(Kind::Int)) {
    if (sure.integer > 0)
      return AbstractValue::of(ssa::log2_bucket(sure.integer) - ssa::kLog2Zero - 1);
    fail_now(too_small);
    return AbstractValue::nil();
  }
  fail_when(op2(ssa::Op::Le, ssa::Type::Bool, sure.id, const_int(0)), too_small);
  const ssa::ValueId bucket = op1(ssa::Op::Log2Bucket, ssa::Type::Int, sure.id);
  return AbstractValue::ssa(
      op2(ssa::Op::Sub, ssa::Type::Int, bucket, const_int(ssa::kLog2Zero + 1)));
}

/// tonumber(x): what is no string is known by its type. Other strings may be those of floats.
std::optional<AbstractValue> Lowerer::number_of(const std::vector<AbstractValue>& args) {
  if (args.size() > 1 && !args[1].is(Kind::Nil)) return std::nullopt;
  const AbstractValue& value = args[0];
  switch (value.kind) {
    case Kind::Float:
      return value;
    case Kind::Str: {
      const runtime::Value number = runtime::parse_number(runtime::trimmed(value.text));
      return AbstractValue::of_world(number, "");
    }
    case Kind::Rendered:
    case Kind::EventText:
    case Kind::EventTextLine:
    case Kind::Undefined:
    case Kind::Mixed:
    case Kind::Iterator:
      return std::nullopt;
    default:
      break;
  }
  switch (ssa::sure_type(type_of(value))) {
    case ssa::Type::Int:
      return value;
    case ssa::Type::Str:
      return std::nullopt;
    default:
      return AbstractValue::nil();
  }
}

/// string.char(…): one that is no byte fails; what it makes is printed.
std::optional<AbstractValue> Lowerer::characters(const std::vector<AbstractValue>& args) {
  std::string known;
  std::vector<AbstractValue> bytes;
  for (size_t i = 0; i < args.size(); ++i) {
    const std::optional<AbstractValue> sure = integer_argument(args[i], "string.char", i + 1);
    if (!sure || !reachable()) return AbstractValue::nil();
    const std::string wrong =
        fmt::format("argument {} of 'string.char' is to be a byte, 0 to 255", i + 1);
    if (sure->is(Kind::Int)) {
      if (sure->integer < 0 || sure->integer > 255) {
        fail_now(wrong);
        return AbstractValue::nil();
      }
      known += static_cast<char>(sure->integer);
    } else {
      fail_when(op2(ssa::Op::Lt, ssa::Type::Bool, sure->id, const_int(0)), wrong);
      fail_when(op2(ssa::Op::Lt, ssa::Type::Bool, const_int(255), sure->id), wrong);
    }
    bytes.push_back(*sure);
  }
  if (known.size() == args.size()) return AbstractValue::string(known);
  return rendered(Builtin::StringChar, std::move(bytes));
}

/// net.ip(n), net.ip(buf(p, 16)): what it makes is printed. Nothing of other strings.
std::optional<AbstractValue> Lowerer::ip_address(Builtin builtin, const AbstractValue& address) {
  const std::string name = full_name(bytecode::builtin_info(builtin));
  const bool takes_bytes = builtin == Builtin::NetIp;
  const char* takes = takes_bytes ? "an integer or a string" : "an integer";
  if (takes_bytes && address.is(Kind::Rendered) &&
      static_cast<Builtin>(address.integer) == Builtin::Buf) {
    const AbstractValue& count = address.parts[1];
    const bool is_address = count.is(Kind::Int) && (count.integer == 4 || count.integer == 16);
    return is_address ? std::optional(rendered(builtin, {address})) : std::nullopt;
  }
  const ssa::Type type = ssa::sure_type(type_of(address));
  if (takes_bytes && (type == ssa::Type::Str || address.is(Kind::Rendered))) return std::nullopt;
  if (type != ssa::Type::Int) {
    fail_argument(address, name, 1, takes);
    return AbstractValue::nil();
  }
  const AbstractValue sure =
      check_not_nil(address, fmt::format("argument 1 of '{}' is to be {}, got nil", name, takes));
  if (!reachable()) return AbstractValue::nil();
  const std::string wrong = fmt::format("argument 1 of '{}' is to be of 32 bits", name);
  if (sure.is(Kind::Int)) {
    if (sure.integer < INT32_MIN || sure.integer > UINT32_MAX) {
      fail_now(wrong);
      return AbstractValue::nil();
    }
  } else {
    fail_when(op2(ssa::Op::Lt, ssa::Type::Bool, sure.id, const_int(INT32_MIN)), wrong);
    fail_when(op2(ssa::Op::Lt, ssa::Type::Bool, const_int(UINT32_MAX), sure.id), wrong);
  }
  return rendered(builtin, {sure});
}

/// strftime(format, t): what it makes is printed. Nothing of a format that could fail there.
std::optional<AbstractValue> Lowerer::text_of_time(const std::vector<AbstractValue>& args) {
  const std::optional<AbstractValue> format = string_argument(args[0], "strftime", 1);
  if (!format) return AbstractValue::nil();
  const std::optional<AbstractValue> time = integer_argument(args[1], "strftime", 2);
  if (!time) return AbstractValue::nil();
  if (!format->is(Kind::Str) || format->text.size() > kMostTimeFormat) return std::nullopt;
  if (has_long_number(format->text)) return std::nullopt;
  return rendered(Builtin::Strftime, {*format, *time});
}

/// string.rep(text, count[, separator]): as the pieces, so that the kernel can make it too.
AbstractValue Lowerer::repeat(std::vector<AbstractValue> args) {
  if (!args[1].is(Kind::Int) || args[1].integer > kMaxRepeats) {
    refuse("string.rep() of a number that is not known, or is large");
    return {};
  }
  std::vector<AbstractValue> pieces;
  for (int64_t i = 0; i < args[1].integer; ++i) {
    if (i > 0 && args.size() > 2) pieces.push_back(args[2]);
    pieces.push_back(args[0]);
  }
  return pieces.empty() ? AbstractValue::string("") : concat(pieces);
}

AbstractValue Lowerer::extreme(ssa::Op op, const AbstractValue& a, const AbstractValue& b) {
  if (a.is(Kind::Int) && b.is(Kind::Int))
    return AbstractValue::of(op == ssa::Op::Min ? std::min(a.integer, b.integer)
                                                : std::max(a.integer, b.integer));
  const ssa::ValueId x = to_int(a, "arithmetic");
  const ssa::ValueId y = to_int(b, "arithmetic");
  return AbstractValue::ssa(op2(op, ssa::Type::Int, x, y));
}

}  // namespace ktap::lower

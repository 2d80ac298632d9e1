// Calls that change something outside of the script (--unsafe). What they do is done in the kernel,
// at the event; a command of system() is sent to user space, which runs it when it comes to it.
#include <fmt/format.h>

#include <algorithm>

#include "lower/lowerer.h"

namespace ktap::lower {

using bytecode::Builtin;

namespace {

constexpr int64_t kLastSignal = 64;

/// 0 for what is no signal. "KILL" is SIGKILL, too.
int64_t signal_number(const std::vector<std::string>& names, const std::string& name) {
  for (size_t i = 1; i < names.size(); ++i) {
    if (!names[i].empty() && (names[i] == name || names[i] == "SIG" + name))
      return static_cast<int64_t>(i);
  }
  return 0;
}

}  // namespace

std::optional<AbstractValue> Lowerer::call_action(Builtin builtin,
                                                  const std::vector<AbstractValue>& args) {
  switch (builtin) {
    case Builtin::System:
      return run_command(args[0]);
    case Builtin::Override:
      return override_result(args[0]);
    case Builtin::Signal:
      return send_signal(args[0]);
    case Builtin::WriteUser:
      return write_user(args);
    default:
      return std::nullopt;
  }
}

AbstractValue Lowerer::run_command(const AbstractValue& command) {
  const std::optional<AbstractValue> sure = string_argument(command, "system", 1);
  if (sure && !stopped()) output(Builtin::System, ssa::SiteKind::System, {*sure});
  return AbstractValue::nil();
}

/// Why the result of what happens there cannot be set; "" if it can, as far as is known.
std::string Lowerer::why_no_override(const schema::Event& event) const {
  const bool is_entry = event.kind == schema::EventKind::Probe &&
                        schema::is_kernel_function(event) && event.point.offset_bytes == 0;
  if (!is_entry) {
    return fmt::format(
        "a result is set at the entry of a kernel function (probe:NAME), which {}:{} is not",
        event.system, event.name);
  }
  const auto& may_override = options_.machine.may_override;
  if (!may_override || may_override(event.point.symbol)) return "";
  return fmt::format(
      "the kernel does not allow it for {}: the functions for which it does stand in {}",
      event.name, kOverrideList);
}

/// override(result): the function does not run.
AbstractValue Lowerer::override_result(const AbstractValue& given) {
  for (const schema::EventPtr& event : group_.events) {
    const std::string why = why_no_override(*event);
    if (why.empty()) continue;
    refuse(why);
    return {};
  }
  const std::optional<AbstractValue> sure = integer_argument(given, "override", 1);
  if (!sure || stopped()) return AbstractValue::nil();
  op1(ssa::Op::OverrideReturn, ssa::Type::None, to_int(*sure, "override()"));
  return AbstractValue::nil();
}

/// signal(number or name): 0, or what the kernel says against it.
AbstractValue Lowerer::send_signal(const AbstractValue& given) {
  AbstractValue number = given;
  const std::string wrong = "argument 1 of 'signal' is to be a signal, 1 to 64 or its name";
  if (given.is(Kind::Str)) {
    if (options_.machine.names == nullptr) {
      refuse("signal() of a name");
      return {};
    }
    number = AbstractValue::of(signal_number(options_.machine.names->signals, given.text));
  }
  const std::optional<AbstractValue> sure = integer_argument(number, "signal", 1);
  if (!sure || stopped()) return AbstractValue::nil();
  if (sure->is(Kind::Int)) {
    if (sure->integer < 1 || sure->integer > kLastSignal) {
      fail_now(wrong);
      return AbstractValue::nil();
    }
  } else {
    fail_when(op2(ssa::Op::Lt, ssa::Type::Bool, sure->id, const_int(1)), wrong);
    fail_when(op2(ssa::Op::Lt, ssa::Type::Bool, const_int(kLastSignal), sure->id), wrong);
  }
  return AbstractValue::ssa(op1(ssa::Op::SendSignal, ssa::Type::Int, to_int(*sure, "signal()")));
}

/// write_user(address, "text"): with a NUL behind it. write_user(address, number[, bytes]).
AbstractValue Lowerer::write_user(const std::vector<AbstractValue>& args) {
  const std::optional<AbstractValue> address = integer_argument(args[0], "write_user", 1);
  if (!address || stopped()) return AbstractValue::nil();
  const ssa::ValueId at = to_int(*address, "write_user()");
  AbstractValue size = args.size() > 2 ? args[2] : AbstractValue::nil();
  const bool is_number = ssa::sure_type(type_of(args[1])) == ssa::Type::Int;
  if (!is_number && !size.is(Kind::Nil)) {
    fail_argument(args[1], "write_user", 2, "an integer");
    return AbstractValue::nil();
  }
  if (args[1].is(Kind::Nil)) {
    fail_argument(args[1], "write_user", 2, "a string or an integer");
    return AbstractValue::nil();
  }
  if (!is_number) {
    const std::optional<AbstractValue> text = string_argument(args[1], "write_user", 2);
    if (!text || stopped()) return AbstractValue::nil();
    return write_text(at, text_value(*text));
  }
  const AbstractValue number =
      check_not_nil(args[1], "argument 2 of 'write_user' is to be an integer, got nil");
  if (size.is(Kind::Nil)) size = AbstractValue::of(int64_t{8});
  const bool is_size = size.is(Kind::Int) && (size.integer == 1 || size.integer == 2 ||
                                              size.integer == 4 || size.integer == 8);
  if (!is_size) {
    if (!size.is(Kind::Int)) {
      refuse("write_user() of a number of bytes that is not known before the handlers run");
    } else {
      fail_now("argument 3 of 'write_user' is to be 1, 2, 4 or 8");
    }
    return AbstractValue::nil();
  }
  return AbstractValue::ssa(write_number(at, to_int(number, "write_user()"), size.integer));
}

ssa::ValueId Lowerer::write_number(ssa::ValueId at, ssa::ValueId number, int64_t bytes) {
  ssa::Inst inst{ssa::Op::WriteUser, ssa::Type::Int};
  inst.imm = bytes;
  inst.operands = {at, number};
  return emit(std::move(inst));
}

/// The characters, then the NUL: what the first of the two that failed says.
AbstractValue Lowerer::write_text(ssa::ValueId at, const AbstractValue& text) {
  if (stopped()) return AbstractValue::nil();
  if (text.is(Kind::Str) && text.text.find('\0') != std::string::npos) {
    refuse("write_user() of a string with a NUL in it");
    return {};
  }
  if (text_bound(text).value_or(0) == 0)
    return AbstractValue::ssa(write_number(at, const_int(0), 1));
  const ssa::ValueId bytes = text_bytes(text);
  const ssa::ValueId length = op1(ssa::Op::StrLen, ssa::Type::Int, bytes);
  ssa::Inst inst{ssa::Op::WriteText, ssa::Type::Int};
  inst.operands = {at, bytes, length};
  const ssa::ValueId written = emit(std::move(inst));
  const ssa::ValueId end = op2(ssa::Op::Add, ssa::Type::Int, at, length);
  const ssa::ValueId ended = write_number(end, const_int(0), 1);
  return AbstractValue::ssa(op2(ssa::Op::Min, ssa::Type::Int, written, ended));
}

}  // namespace ktap::lower

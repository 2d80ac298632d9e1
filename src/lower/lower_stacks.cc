// stack() and ustack(), and what earlier ktaps called them: depth and skip are known when the
// program is made.
#include <fmt/format.h>

#include "base/limits.h"
#include "base/user_stack.h"
#include "lower/lowerer.h"

namespace ktap::lower {

using bytecode::Builtin;

namespace {

constexpr uint32_t kWordBytes = 8;

}  // namespace

runtime::Value Lowerer::sample_stack() const {
  const uint64_t none = 0;
  return linkage_.constants->stack(&none, 1);
}

ssa::ValueId Lowerer::walk_stack(bool is_user, int64_t depth, int64_t skip) {
  ssa::Inst inst{is_user ? ssa::Op::UserStack : ssa::Op::KernelStack, ssa::Type::Stack,
                 ssa::StrKind::Bytes};
  inst.max_bytes = kWordBytes * (1 + static_cast<uint32_t>(depth));
  inst.imm = skip;
  return emit(std::move(inst));
}

/// Argument `number`, from 1 on, in the VM's bounds and with its errors; nothing after one.
std::optional<int64_t> Lowerer::stack_argument(const std::vector<AbstractValue>& args,
                                               size_t number, const std::string& function,
                                               bool is_depth) {
  const int64_t most = is_depth ? limits::kStackFrames : limits::kStackSkip;
  const int64_t least = is_depth ? 1 : 0;
  if (args.size() < number || args[number - 1].is(Kind::Nil)) return is_depth ? most : 0;
  const AbstractValue& given = args[number - 1];
  if (ssa::sure_type(type_of(given)) != ssa::Type::Int) {
    fail_argument(given, function, number, "an integer");
    return std::nullopt;
  }
  if (!given.is(Kind::Int)) {
    refuse(fmt::format("{}() with a {} that is not a known number", function,
                       is_depth ? "depth" : "number of frames to leave out"));
    return std::nullopt;
  }
  if (is_depth && given.integer == -1) return most;
  if (given.integer >= least && given.integer <= most) return given.integer;
  fail_now(fmt::format("argument {} of '{}' is to be {} to {}", number, function, least, most));
  return std::nullopt;
}

/// ustack("dwarf"): true, and refused; or an error. False: the kernel walks the frame pointers.
bool Lowerer::leaves_stack_to_user_space(const std::vector<AbstractValue>& args) {
  if (args.empty()) return false;
  const AbstractValue& first = args[0];
  if (first.is(Kind::Str) && first.text == kDwarfStack) {
    refuse("user space unwinds the copied stack of ustack(\"dwarf\")");
  } else if (first.is(Kind::Str)) {
    fail_now(fmt::format("argument 1 of 'ustack' is to be {}", kUstackTakes));
  } else if (args.size() > 1 && !args[1].is(Kind::Nil)) {
    fail_now(fmt::format("argument 1 of 'ustack' is to be {}", kUstackTakesTwo));
  } else if (!first.is(Kind::Nil) && type_of(first) == ssa::Type::Str) {
    refuse("ustack() of a string that is not known");
  } else {
    return false;
  }
  return true;
}

std::optional<AbstractValue> Lowerer::call_stack(Builtin builtin,
                                                 const std::vector<AbstractValue>& args) {
  const bool is_user = builtin == Builtin::Ustack;
  const bool is_printed = builtin == Builtin::PrintBacktrace || builtin == Builtin::KdebugDumpstack;
  const bool is_older = builtin == Builtin::Backtrace || builtin == Builtin::PrintBacktrace;
  if (!is_user && !is_printed && !is_older && builtin != Builtin::Stack) return std::nullopt;
  const std::string name = full_name(bytecode::builtin_info(builtin));
  if (is_user && leaves_stack_to_user_space(args)) return AbstractValue::nil();
  std::optional<int64_t> numbers[2];
  for (size_t i = 0; i < 2; ++i) {
    numbers[i] = stack_argument(args, i + 1, name, is_older == (i == 1));
    if (!numbers[i] || stopped()) return AbstractValue::nil();
  }
  const int64_t depth = *numbers[is_older ? 1 : 0];
  const int64_t skip = *numbers[is_older ? 0 : 1];
  const AbstractValue stack = AbstractValue::ssa(walk_stack(is_user, depth, skip));
  if (!is_printed) return stack;
  output(Builtin::Print, ssa::SiteKind::Print, {stack});
  return AbstractValue::nil();
}

/// ksym(x), usym(x[, pid]) and ipof(x): user space looks them up where they are printed.
std::optional<AbstractValue> Lowerer::symbol_name(Builtin builtin,
                                                  const std::vector<AbstractValue>& args) {
  if (builtin != Builtin::Ksym && builtin != Builtin::Usym && builtin != Builtin::Ipof)
    return std::nullopt;
  const std::string name = full_name(bytecode::builtin_info(builtin));
  std::vector<AbstractValue> parts;
  for (size_t i = 0; i < args.size(); ++i) {
    const AbstractValue given = plain(args[i]);
    if (i > 0 && given.is(Kind::Nil)) break;
    if (i > 0 && is_maybe(given)) {
      refuse(name + "() of a process that may be nil");
      return AbstractValue::nil();
    }
    const std::optional<AbstractValue> sure = integer_argument(given, name, i + 1);
    if (!sure || stopped()) return AbstractValue::nil();
    parts.push_back(*sure);
  }
  if (builtin == Builtin::Usym && parts.size() == 1)
    parts.push_back(AbstractValue::ssa(read_var(schema::BuiltinVar::Pid)));
  if (builtin == Builtin::Ipof) return AbstractValue::address(parts[0]);
  return rendered(builtin, std::move(parts));
}

}  // namespace ktap::lower

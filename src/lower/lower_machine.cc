// Calls that ask the machine: how many CPUs, which kernel, what time it is, a random number.
#include "lower/lowerer.h"

namespace ktap::lower {

using bytecode::Builtin;

namespace {

/// How many nanoseconds the unit of a gettimeofday_… has; 0: it is none.
int64_t unit_ns(Builtin builtin) {
  switch (builtin) {
    case Builtin::GettimeofdayNs:
      return 1;
    case Builtin::GettimeofdayUs:
      return 1000;
    case Builtin::GettimeofdayMs:
      return 1000000;
    case Builtin::GettimeofdayS:
      return 1000000000;
    default:
      return 0;
  }
}

}  // namespace

std::optional<AbstractValue> Lowerer::machine_call(Builtin builtin,
                                                   const std::vector<AbstractValue>& args) {
  if (builtin == Builtin::Cast) return cast(args);
  if (builtin == Builtin::Kaddr) return kernel_address(args[0]);
  if (builtin == Builtin::EnumName) return name_of_enum(args);
  const Machine& machine = options_.machine;
  if (machine.cpu_count == 0) return std::nullopt;
  switch (builtin) {
    case Builtin::NumCpus:
      return AbstractValue::of(machine.cpu_count);
    case Builtin::Arch:
      return AbstractValue::string(machine.name);
    case Builtin::KernelV:
      return AbstractValue::string(machine.release);
    case Builtin::Rand:
      return random(args[0]);
    default:
      break;
  }
  const int64_t unit = unit_ns(builtin);
  if (unit == 0) return std::nullopt;
  const ssa::ValueId ns = read_var(schema::BuiltinVar::Ns);
  const ssa::ValueId now =
      op2(ssa::Op::Add, ssa::Type::Int, ns, const_int(machine.wall_clock_offset_ns));
  return divide(ssa::Op::DivS, AbstractValue::ssa(now), AbstractValue::of(unit));
}

/// 63 random bits modulo the bound: low results are likelier by at most bound / 2^63.
std::optional<AbstractValue> Lowerer::random(const AbstractValue& bound) {
  const std::optional<AbstractValue> sure = integer_argument(bound, "rand", 1);
  if (!sure) return AbstractValue::nil();
  const std::string too_small = "argument 1 of 'rand' is to be 1 or more";
  if (!sure->is(Kind::Int)) {
    fail_when(op2(ssa::Op::Lt, ssa::Type::Bool, sure->id, const_int(1)), too_small);
  } else if (sure->integer < 1) {
    fail_now(too_small);
    return AbstractValue::nil();
  }
  ssa::Inst inst{ssa::Op::Random, ssa::Type::Int};
  return divide(ssa::Op::ModS, AbstractValue::ssa(emit(std::move(inst))), *sure);
}

}  // namespace ktap::lower

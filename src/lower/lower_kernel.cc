// Functions of the library that read the kernel's memory: what `curtask` and cast() would give.
#include <fmt/format.h>

#include <cstdio>

#include "lower/lowerer.h"
#include "schema/library_reads.h"

namespace ktap::lower {

using bytecode::Builtin;

std::optional<AbstractValue> Lowerer::kernel_call(Builtin builtin,
                                                  const std::vector<AbstractValue>& args) {
  switch (builtin) {
    case Builtin::InIowait:
      return in_iowait();
    case Builtin::CurrTaskinfo:
      return task_info(args);
    case Builtin::NetIpSockSaddr:
      return socket_address(args[0], schema::kSocketSource);
    case Builtin::NetIpSockDaddr:
      return socket_address(args[0], schema::kSocketDestination);
    default:
      return std::nullopt;
  }
}

AbstractValue Lowerer::in_iowait() {
  const AbstractValue task = current_task();
  if (stopped()) return {};
  const AbstractValue waits = typed_index(task, AbstractValue::string(schema::kInIowait));
  if (stopped()) return {};
  return to_value(negate(equals(waits, AbstractValue::of(int64_t{0}))));
}

/// Nothing in the kernel's types tells how its count is made up.
static int64_t interrupt_bits(const std::string& release) {
  int major = 0;
  int minor = 0;
  if (std::sscanf(release.c_str(), "%d.%d", &major, &minor) != 2) return schema::kInterruptBits;
  const bool is_since_73 = major > 7 || (major == 7 && minor >= 3);
  return is_since_73 ? schema::kInterruptBitsSince73 : schema::kInterruptBits;
}

/// What runs on the CPU has the count of it in the task, or the CPU has (x86-64).
ssa::ValueId Lowerer::preempt_count() {
  const schema::KernelTypes* types = options_.machine.types ? options_.machine.types() : nullptr;
  const auto task = types == nullptr ? Error{""} : types->parse("struct task_struct");
  const auto info = task.ok() ? types->member(task.value(), schema::kThreadInfo) : std::nullopt;
  if (!info || !types->member(info->type, schema::kPreemptCount)) {
    ssa::Inst inst{ssa::Op::EventVar, ssa::Type::Int};
    inst.imm = static_cast<int64_t>(schema::BuiltinVar::InInterrupt);
    return emit(std::move(inst));
  }
  const AbstractValue place =
      typed_index(current_task(), AbstractValue::string(schema::kThreadInfo));
  return typed_index(place, AbstractValue::string(schema::kPreemptCount)).id;
}

ssa::ValueId Lowerer::in_interrupt() {
  const ssa::ValueId count = preempt_count();
  const ssa::ValueId bits =
      op2(ssa::Op::And, ssa::Type::Int, count, const_int(interrupt_bits(options_.machine.release)));
  return op2(ssa::Op::Ne, ssa::Type::Bool, bits, const_int(0));
}

/// curr_taskinfo(offset[, n]).
AbstractValue Lowerer::task_info(const std::vector<AbstractValue>& args) {
  const std::string name = "curr_taskinfo";
  const auto offset = integer_argument(args[0], name, 1);
  if (!offset || !reachable()) return AbstractValue::nil();
  auto size = std::optional(AbstractValue::of(schema::kTaskinfoBytes));
  if (args.size() > 1 && !args[1].is(Kind::Nil)) size = integer_argument(args[1], name, 2);
  if (!size || !reachable()) return AbstractValue::nil();
  if (!size->is(Kind::Int)) {
    refuse("curr_taskinfo() of a number of bytes that is not known");
    return {};
  }
  const char* type = schema::taskinfo_pointer(size->integer);
  if (type == nullptr) {
    fail_now(fmt::format("argument 2 of '{}' is to be {}", name, schema::kTaskinfoSizes));
    return AbstractValue::nil();
  }
  const AbstractValue place = task_bytes(*offset, type);
  return stopped() ? AbstractValue() : typed_index(place, AbstractValue::of(int64_t{0}));
}

/// What lies at an offset in the current task, as a pointer of that type to it.
AbstractValue Lowerer::task_bytes(const AbstractValue& offset, const std::string& type) {
  const AbstractValue task = current_task();
  if (stopped()) return {};
  AbstractValue place = cast({AbstractValue::string(type), task});
  if (stopped()) return {};
  const int64_t size = kernel_types()->shape(place.ctype).size_bytes;
  const int64_t last = kernel_types()->shape(task.ctype).size_bytes - size;
  if (offset.is(Kind::Int)) {
    place.integer += offset.integer;
    if (offset.integer >= 0 && offset.integer <= last) return place;
    EventMistake mistake;
    mistake.code = diag::Code::NoStructMember;
    mistake.text = fmt::format("{} bytes at {} are not inside this kernel's struct task_struct",
                               size, offset.integer);
    type_mistake(std::move(mistake));
    return {};
  }
  const std::string wrong = fmt::format("argument 1 of 'curr_taskinfo' is to be 0 to {}", last);
  fail_when(op2(ssa::Op::Lt, ssa::Type::Bool, offset.id, const_int(0)), wrong);
  fail_when(op2(ssa::Op::Lt, ssa::Type::Bool, const_int(last), offset.id), wrong);
  return moved(place, offset.id);
}

/// net.ip_sock_saddr(p) and net.ip_sock_daddr(p): nil where the family is not that of IPv4.
AbstractValue Lowerer::socket_address(const AbstractValue& socket, const char* member) {
  const AbstractValue pointer = cast({AbstractValue::string(schema::kSocketPointer), socket});
  if (stopped()) return {};
  const auto read = [this](const AbstractValue& of, const char* name) {
    return stopped() ? AbstractValue() : typed_index(of, AbstractValue::string(name));
  };
  const AbstractValue common = read(pointer, schema::kSocketCommon);
  AbstractValue family = read(common, schema::kSocketFamily);
  if (stopped()) return {};
  if (!family.is(Kind::Ssa)) return AbstractValue::nil();
  const ssa::BlockId absent = enter_where_there(family);
  const ssa::BlockId other = new_block();
  const ssa::BlockId ipv4 = new_block();
  branch(op2(ssa::Op::Eq, ssa::Type::Bool, family.id, const_int(schema::kIpv4Family)), ipv4, other);
  current_ = ipv4;
  const AbstractValue address = read(common, member);
  if (stopped()) return {};
  return join({{absent, {AbstractValue::nil()}, 0},
               {other, {AbstractValue::nil()}, 0},
               {current_, {address}, 0}})[0];
}

}  // namespace ktap::lower

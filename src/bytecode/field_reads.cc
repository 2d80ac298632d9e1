// A variable that every event has alike is no field: the list of them is here.
#include "bytecode/field_reads.h"

#include "bytecode/instructions.h"
#include "schema/builtin_vars.h"

namespace ktap::bytecode {

namespace {

/// Of the variables, those that every event has alike.
bool is_of_any_event(schema::BuiltinVar var) {
  switch (var) {
    case schema::BuiltinVar::Pid:
    case schema::BuiltinVar::Tid:
    case schema::BuiltinVar::Ppid:
    case schema::BuiltinVar::Uid:
    case schema::BuiltinVar::Gid:
    case schema::BuiltinVar::Cpu:
    case schema::BuiltinVar::Execname:
    case schema::BuiltinVar::Ns:
    case schema::BuiltinVar::Cgroup:
    case schema::BuiltinVar::Curtask:
    case schema::BuiltinVar::InInterrupt:
    case schema::BuiltinVar::Probename:
      return true;
    default:
      return false;
  }
}

bool reads_fields(Insn insn) {
  if (insn.op() == Op::EventVar) return !is_of_any_event(static_cast<schema::BuiltinVar>(insn.d()));
  return insn.op() == Op::EventField || insn.op() == Op::EventWord;
}

}  // namespace

bool reads_event_fields(const Function& function) {
  return any_instruction(function, reads_fields);
}

}  // namespace ktap::bytecode

// A variable that every event has alike is no field: the list of them is here.
#include "bytecode/field_reads.h"

#include <algorithm>

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
  return std::any_of(function.code.begin(), function.code.end(), reads_fields) ||
         std::any_of(function.children.begin(), function.children.end(),
                     [](const auto& child) { return reads_event_fields(*child); });
}

}  // namespace ktap::bytecode

// See library.h. The tables are small; a walk over them is as fast as a map at this size.
#include "compiler/library.h"

#include <algorithm>

namespace ktap::compiler {

using bytecode::Builtin;

std::optional<Builtin> find_builtin(std::string_view library, std::string_view name) {
  if (library == "%") return std::nullopt;
  for (size_t i = 0; i < bytecode::builtin_count(); ++i) {
    const auto builtin = static_cast<Builtin>(i);
    const bytecode::BuiltinInfo& info = bytecode::builtin_info(builtin);
    if (info.prefix == library && info.name == name) return builtin;
  }
  return std::nullopt;
}

std::vector<std::string> library_names() {
  std::vector<std::string> names;
  const auto add = [&names](std::string_view library) {
    if (library.empty() || library == "%") return;
    if (std::find(names.begin(), names.end(), library) == names.end()) names.emplace_back(library);
  };
  for (size_t i = 0; i < bytecode::builtin_count(); ++i) {
    add(bytecode::builtin_info(static_cast<Builtin>(i)).prefix);
  }
  return names;
}

bool is_library(std::string_view name) {
  const std::vector<std::string> names = library_names();
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::vector<std::string> members_of(std::string_view library) {
  std::vector<std::string> names;
  for (size_t i = 0; i < bytecode::builtin_count(); ++i) {
    const bytecode::BuiltinInfo& info = bytecode::builtin_info(static_cast<Builtin>(i));
    if (info.prefix == library) names.emplace_back(info.name);
  }
  return names;
}

bool gives_one_value(Builtin builtin) {
  const std::string_view library = bytecode::builtin_info(builtin).prefix;
  if (library == "string" || library == "math" || library == "net") return true;
  switch (builtin) {
    case Builtin::Format:
    case Builtin::Tostring:
    case Builtin::Tonumber:
    case Builtin::Type:
    case Builtin::Len:
    case Builtin::Ptable:
    case Builtin::Aggr:
    case Builtin::Sum:
    case Builtin::Min:
    case Builtin::Max:
    case Builtin::Avg:
    case Builtin::Stddev:
    case Builtin::Quantile:
    case Builtin::Hist:
    case Builtin::UserString:
    case Builtin::KernelString:
    case Builtin::Buf:
    case Builtin::Cast:
    case Builtin::Kaddr:
    case Builtin::Stringof:
    case Builtin::InIowait:
    case Builtin::CurrTaskinfo:
    case Builtin::Stack:
    case Builtin::Ustack:
    case Builtin::Backtrace:
    case Builtin::Ksym:
    case Builtin::Usym:
    case Builtin::Ipof:
    case Builtin::NumCpus:
    case Builtin::Arch:
    case Builtin::KernelV:
    case Builtin::SyscallName:
    case Builtin::ErrnoName:
    case Builtin::SignalName:
    case Builtin::EnumName:
    case Builtin::GettimeofdayNs:
    case Builtin::GettimeofdayUs:
    case Builtin::GettimeofdayMs:
    case Builtin::GettimeofdayS:
    case Builtin::Strftime:
    case Builtin::Rand:
    case Builtin::TableNew:
    case Builtin::TableRemove:
    case Builtin::TableConcat:
      return true;
    default:
      return false;
  }
}

bool registers_handler(Builtin builtin) {
  switch (builtin) {
    case Builtin::KdebugProbe:
    case Builtin::KdebugProbeEnd:
    case Builtin::KdebugKprobe:
    case Builtin::KdebugTracepoint:
    case Builtin::TimerTick:
    case Builtin::TimerProfile:
      return true;
    default:
      return false;
  }
}

std::string full_name(Builtin builtin) {
  return bytecode::full_name(bytecode::builtin_info(builtin));
}

}  // namespace ktap::compiler

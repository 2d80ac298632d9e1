// Whose an instruction is.
#include "bpf/program.h"

#include <algorithm>

#include "base/check.h"

namespace ktap::bpf {

std::string_view kind_name(ProgramKind kind) {
  switch (kind) {
    case ProgramKind::RawTracepoint:
    case ProgramKind::TypedRawTracepoint:
      return "raw tracepoint";
    case ProgramKind::Tracepoint:
      return "tracepoint";
    case ProgramKind::Probe:
      return "probe";
    case ProgramKind::FunctionEntry:
    case ProgramKind::FunctionExit:
      return "trampoline of";
    case ProgramKind::KprobeMulti:
      return "kernel functions";
    case ProgramKind::UprobeMulti:
      return "user functions";
    case ProgramKind::PerfEvent:
      return "samples of";
  }
  return "";
}

uint32_t Program::handler_at(size_t insn) const {
  uint32_t handler = kNoHandler;
  for (const CodeRange& range : ranges) {
    if (range.insn > insn) break;
    handler = range.handler;
  }
  return handler;
}

size_t Program::instructions_of(uint32_t handler) const {
  size_t count = 0;
  for (size_t i = 0; i < ranges.size(); ++i) {
    if (ranges[i].handler != handler) continue;
    count += (i + 1 < ranges.size() ? ranges[i + 1].insn : code.size()) - ranges[i].insn;
  }
  return count;
}

bool Program::serves(uint32_t handler) const {
  return std::any_of(ranges.begin(), ranges.end(),
                     [&](const CodeRange& range) { return range.handler == handler; });
}

std::vector<uint32_t> Program::handlers() const {
  std::vector<uint32_t> out;
  for (const CodeRange& range : ranges) {
    if (range.handler != kNoHandler) out.push_back(range.handler);
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

std::vector<Insn> Program::relocated(const std::function<int(uint32_t map)>& fd_of) const {
  std::vector<Insn> out = code;
  for (const MapRef& ref : maps) {
    KTAP_CHECK(ref.insn + 1 < out.size());
    Insn& first = out[ref.insn];
    first.imm = fd_of(ref.map);
    first.src = (ref.value ? kPseudoMapValue : kPseudoMapFd) & 15;
    out[ref.insn + 1].imm = ref.value ? static_cast<int32_t>(ref.offset) : 0;
  }
  return out;
}

}  // namespace ktap::bpf

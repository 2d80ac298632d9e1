// libFuzzer target for texts and notes that other programs write: USDT notes and their arguments,
// maps, JIT maps, lists of kernel symbols, names to demangle, patterns over them.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "symbol/demangle.h"
#include "symbol/kallsyms.h"
#include "symbol/maps.h"
#include "symbol/name_pattern.h"
#include "symbol/usdt.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ktap::symbol;
  const std::string text(reinterpret_cast<const char*>(data), size);
  for (const Machine machine : {Machine::X86_64, Machine::X86, Machine::Arm64, Machine::Arm,
                                Machine::RiscV, static_cast<Machine>(8)}) {
    for (const UsdtArgument& argument : parse_usdt_arguments(machine, text)) {
      const bool is_unknown = argument.kind == UsdtArgument::Kind::Unknown;
      if (is_unknown == argument.problem.empty()) __builtin_trap();
    }
  }
  parse_notes({data, size});
  const ProcessMaps maps(parse_maps(text));
  for (const Mapping& mapping : maps.mappings()) {
    if (maps.find(mapping.end) == &mapping) __builtin_trap();
  }
  const JitMap jit(text);
  jit.at(0x1000);
  const Kallsyms symbols(text);
  symbols.at(UINT64_MAX);
  symbols.glob("*a*");
  const size_t line = text.find('\n');
  symbols.find(text.substr(0, line));
  // The first line as a pattern for the second: a word that is needed is in all that match.
  if (line == std::string::npos) return 0;
  const std::string name = text.substr(line + 1);
  without_parameters(demangle(name));
  without_parameters(name);
  NamePattern(text.substr(0, line), true).matches(name);
  return 0;
}

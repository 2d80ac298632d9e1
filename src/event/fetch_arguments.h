// Fetch arguments of a probe, as perf probe and the kernel's own probe events write them, → fields:
// `dfd=%di mode=+4($stack) fd=$retval name=+0(%si):string`. Whatever sets a probe that gives
// registers reads them here.
// Source: Documentation/trace/kprobetrace.rst and uprobetracer.rst.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "event/provider.h"
#include "schema/event.h"
#include "symbol/elf_image.h"

namespace ktap::event {

/// Where the fetch arguments are evaluated.
struct FetchContext {
  symbol::Machine machine;  ///< whose registers: of the kernel, or of the program
  uint8_t word_bytes = 8;   ///< of an address there
  bool is_user = false;     ///< memory is the process's
  bool is_entry = true;     ///< at a function's first instruction: $argN
  bool is_return = false;   ///< $retval
  /// `@SYM`, `@+FILEOFFSET`: a fetch with one step, to what lies there; an error in words. Empty:
  /// there are no symbols.
  std::function<Result<schema::Fetch>(std::string_view symbol)> find_symbol;
};

/// The function's own argument `number`, from 1: a register, or a word of the stack at its entry.
schema::Fetch argument_fetch(const FetchContext& context, uint32_t number);

/// Makes a constant as wide as its field, of its sign. Requires: the field has 1 to 8 bytes.
void narrow_constant(schema::Field* field);

/// The fields that `text` names, in its order; those without a name are arg1, arg2 … by their
/// place. `offset` is where it begins in the event text. Adds what is wrong to `mistakes`, each at
/// its own argument. Pure.
std::vector<schema::Field> parse_fetch_arguments(std::string_view text, uint32_t offset,
                                                 const FetchContext& context,
                                                 std::vector<Mistake>* mistakes);

}  // namespace ktap::event

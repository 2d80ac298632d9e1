// The form in which the machine runs a function: one step for each instruction of the portable
// code, at the same index, so that a place in the one is a place in the other. A step is wide: it
// holds the address of its code, byte offsets of its registers and what is known of its operands. A
// step that does the work of several stands in the place of the first; the others keep theirs, for
// jumps to them. Decision 0006. Private to this folder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "bytecode/chunk.h"
#include "runtime/value.h"

namespace ktap::vm {

enum class StepOp : uint16_t {
#define KTAP_STEP(name, meaning) name,
#include "vm/steps.def"
#undef KTAP_STEP
};
constexpr size_t kStepOpCount = 0
#define KTAP_STEP(name, meaning) +1
#include "vm/steps.def"
#undef KTAP_STEP
    ;

/// Registers and constants are byte offsets from R[0] and K[0]; jumps are bytes from this step,
/// those of tests from the next one.
struct alignas(8) Step {  // 16 bytes, also where an address has 4
  union {
    const void* label;  ///< where the interpreter goes on
    StepOp op;          ///< before link()
  };
  uint16_t a = 0;
  uint16_t b = 0;
  union {
    int32_t imm = 0;
    struct {
      uint16_t c;
      uint16_t d;  ///< the entry where a field was found last time
    };
  };
};
static_assert(sizeof(Step) == 16);

std::string_view step_name(StepOp op);

/// Requires: `function` passes bytecode::verify(). As many steps as instructions, not yet linked.
std::vector<Step> translate(const bytecode::Function& function);

}  // namespace ktap::vm

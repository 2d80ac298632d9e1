// Where the arguments of a function lie at its first instruction, by the machine's calling
// convention and the types of all arguments before: what debug information does not say of code
// that is not optimised.
// Source: System V ABI for x86-64, 3.2.3; AAPCS64, 6.8; AAPCS, 6.5; RISC-V ELF psABI, 2.1.
#pragma once

#include <cstdint>
#include <vector>

#include "schema/kernel_types.h"
#include "symbol/registers.h"

namespace ktap::symbol {

/// Of an argument at a function's first instruction.
struct ArgumentPlace {
  enum class Kind : uint8_t {
    Unknown,
    Register,
    Stack,     ///< `value` bytes from the stack pointer
    Constant,  ///< `value` itself; its lowest bits, as many as the type has
  } kind = Kind::Unknown;
  Register in = {};  ///< Register
  int64_t value = 0;
};

/// A type as calls see it.
struct PassedType {
  schema::CType type;
  bool is_by_reference = false;  ///< C++: of a class that cannot be copied by bytes
  bool is_unknown = false;       ///< nobody says how it is handed over
};

/// A place for each parameter. Behind one that is not sure all others are unknown. Floats are in
/// registers of their own or, on 32-bit arm, it is not known where they are. Pure.
std::vector<ArgumentPlace> argument_places(Machine machine, const schema::KernelTypes& types,
                                           const PassedType& result,
                                           const std::vector<PassedType>& parameters,
                                           bool has_float_registers);

/// How far the arguments on the stack are from the stack pointer at the first instruction: of x86
/// the return address lies between.
uint32_t stack_arguments_offset(Machine machine);

}  // namespace ktap::symbol

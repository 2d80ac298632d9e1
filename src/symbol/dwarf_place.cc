// Optimised code has a list of places, true at the first instruction; other code has one place that
// is only true behind the function's first instructions, which put the argument there. So a
// register, or a place above the frame, is believed; for a place in the function's own frame the
// calling convention stands.
#include "symbol/dwarf_place.h"

#include <dwarf.h>
#include <fmt/format.h>

#include <array>
#include <optional>
#include <string>

#include "symbol/dwarf_file.h"

namespace ktap::symbol {

namespace {

/// DWARF numbers registers in its own order.
std::optional<Register> register_of(Machine machine, uint64_t number) {
  constexpr std::array<std::string_view, 16> kX86_64 = {"rax", "rdx", "rcx", "rbx", "rsi", "rdi",
                                                        "rbp", "rsp", "r8",  "r9",  "r10", "r11",
                                                        "r12", "r13", "r14", "r15"};
  constexpr std::array<std::string_view, 8> kX86 = {"eax", "ecx", "edx", "ebx",
                                                    "esp", "ebp", "esi", "edi"};
  constexpr std::array<std::string_view, 32> kRiscV = {
      "",   "ra", "sp", "gp", "tp",  "t0",  "t1", "t2", "s0", "s1", "a0",
      "a1", "a2", "a3", "a4", "a5",  "a6",  "a7", "s2", "s3", "s4", "s5",
      "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6"};
  std::string name;
  switch (machine) {
    case Machine::X86_64:
      if (number < kX86_64.size()) name = kX86_64[number];
      break;
    case Machine::X86:
      if (number < kX86.size()) name = kX86[number];
      break;
    case Machine::Arm64:
      if (number < 32) name = number == 31 ? "sp" : fmt::format("x{}", number);
      break;
    case Machine::Arm:
      if (number < 16) name = fmt::format("r{}", number);
      break;
    case Machine::RiscV:
      if (number < kRiscV.size()) name = kRiscV[number];
      break;
  }
  return name.empty() ? std::nullopt : find_register(machine, name);
}

/// Is the function's frame counted from where its caller's ends?
bool counts_from_caller(Dwarf_Die* function, uint64_t address) {
  Dwarf_Attribute base;
  Dwarf_Op* ops = nullptr;
  size_t count = 0;
  return dwarf_attr_integrate(function, DW_AT_frame_base, &base) != nullptr &&
         dwarf_getlocation_addr(&base, address, &ops, &count, 1) == 1 && count == 1 &&
         ops[0].atom == DW_OP_call_frame_cfa;
}

ArgumentPlace in_register(Machine machine, uint64_t number) {
  const std::optional<Register> found = register_of(machine, number);
  if (!found) return {};
  return {ArgumentPlace::Kind::Register, *found, 0};
}

/// Of an operation that keeps the lowest bits of a value, as clang describes `bool` and other
/// narrow arguments: how many. Two operations are a number and what is done with it.
struct Narrowing {
  uint32_t kept_bits = 0;  ///< 0: it does something else
  size_t operations = 1;
};

Narrowing narrowing(Dwarf_Attribute* location, Dwarf_Op* ops, size_t count) {
  constexpr uint32_t kWordBits = 64;
  const uint8_t atom = ops[0].atom;
  if (atom == DW_OP_stack_value) return {kWordBits};
  if (atom == DW_OP_convert || atom == DW_OP_reinterpret) {
    if (ops[0].number == 0) return {kWordBits};  // to the machine's word
    Dwarf_Die type;
    const int size_bytes =
        dwarf_getlocation_die(location, ops, &type) == 0 ? dwarf_bytesize(&type) : -1;
    return {size_bytes > 0 ? static_cast<uint32_t>(size_bytes) * 8 : 0};
  }
  std::optional<uint64_t> number;
  if (atom >= DW_OP_lit0 && atom <= DW_OP_lit31) number = atom - DW_OP_lit0;
  if (atom == DW_OP_constu || atom == DW_OP_const1u || atom == DW_OP_const2u ||
      atom == DW_OP_const4u || atom == DW_OP_const8u)
    number = ops[0].number;
  if (!number || count < 2 || ops[1].atom != DW_OP_and || (*number & (*number + 1)) != 0) return {};
  uint32_t bits = 0;
  while (bits < kWordBits && (*number >> bits) != 0) ++bits;
  return {bits, 2};
}

/// A value that is computed from a register and has its lowest `value_bits`.
ArgumentPlace in_narrowed_register(Dwarf_Attribute* location, Dwarf_Op* ops, size_t count,
                                   Machine machine, uint32_t value_bits) {
  const uint8_t atom = ops[0].atom;
  const bool is_numbered = atom == DW_OP_bregx || atom == DW_OP_regval_type;
  const bool is_computed = count > 1 && ops[count - 1].atom == DW_OP_stack_value;
  const bool is_named = atom >= DW_OP_breg0 && atom <= DW_OP_breg31;
  const uint64_t offset = atom == DW_OP_bregx ? ops[0].number2 : is_named ? ops[0].number : 0;
  if (!is_computed || (!is_named && !is_numbered) || offset != 0) return {};
  for (size_t i = 1; i < count;) {
    const Narrowing next = narrowing(location, ops + i, count - i);
    if (next.kept_bits < value_bits || next.kept_bits == 0) return {};
    i += next.operations;
  }
  return in_register(machine, is_named ? atom - DW_OP_breg0 : ops[0].number);
}

}  // namespace

ArgumentPlace place_at_entry(Dwarf_Die* parameter, Dwarf_Die* function, uint64_t address,
                             Machine machine, uint32_t value_bits, const ArgumentPlace& usual) {
  Dwarf_Attribute attribute;
  if (dwarf_attr_integrate(parameter, DW_AT_const_value, &attribute) != nullptr) {
    const std::optional<uint64_t> value = number_of(parameter, DW_AT_const_value);
    if (!value) return {};
    return {ArgumentPlace::Kind::Constant, {}, static_cast<int64_t>(*value)};
  }
  // No place at all: the compiler has removed it, and perhaps does not pass it either.
  if (dwarf_attr_integrate(parameter, DW_AT_location, &attribute) == nullptr) return {};
  Dwarf_Op* ops = nullptr;
  size_t count = 0;
  if (dwarf_getlocation_addr(&attribute, address, &ops, &count, 1) != 1 || count == 0) return {};
  if (count > 1) return in_narrowed_register(&attribute, ops, count, machine, value_bits);
  const uint8_t atom = ops[0].atom;
  if (atom >= DW_OP_reg0 && atom <= DW_OP_reg31) return in_register(machine, atom - DW_OP_reg0);
  if (atom == DW_OP_regx) return in_register(machine, ops[0].number);
  if (atom != DW_OP_fbreg) return usual;
  const auto offset = static_cast<int64_t>(ops[0].number);
  constexpr int64_t kMostStackBytes = int64_t{1} << 30;  // more is no offset
  if (offset < 0 || offset > kMostStackBytes || !counts_from_caller(function, address))
    return usual;
  return {ArgumentPlace::Kind::Stack, {}, offset + stack_arguments_offset(machine)};
}

}  // namespace ktap::symbol

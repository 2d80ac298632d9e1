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

}  // namespace

ArgumentPlace place_at_entry(Dwarf_Die* parameter, Dwarf_Die* function, uint64_t address,
                             Machine machine, const ArgumentPlace& usual) {
  Dwarf_Attribute attribute;
  if (dwarf_attr_integrate(parameter, DW_AT_const_value, &attribute) != nullptr) {
    Dwarf_Sword value = 0;
    if (dwarf_formsdata(&attribute, &value) != 0) return {};
    return {ArgumentPlace::Kind::Constant, {}, value};
  }
  // No place at all: the compiler has removed it, and perhaps does not pass it either.
  if (dwarf_attr_integrate(parameter, DW_AT_location, &attribute) == nullptr) return {};
  Dwarf_Op* ops = nullptr;
  size_t count = 0;
  if (dwarf_getlocation_addr(&attribute, address, &ops, &count, 1) != 1 || count != 1) return {};
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

// One row a register of x86, with the names of its parts; the other machines number theirs.
#include "symbol/registers.h"

#include <charconv>
#include <system_error>

namespace ktap::symbol {

namespace {

struct X86Row {
  std::string_view names[4];  // of 64, 32, 16 and 8 bits
  std::string_view high;      // of the second byte
  uint16_t offset_bytes;
};
constexpr X86Row kX86[] = {
    {{"r15", "r15d", "r15w", "r15b"}, "", 0},  {{"r14", "r14d", "r14w", "r14b"}, "", 8},
    {{"r13", "r13d", "r13w", "r13b"}, "", 16}, {{"r12", "r12d", "r12w", "r12b"}, "", 24},
    {{"rbp", "ebp", "bp", "bpl"}, "", 32},     {{"rbx", "ebx", "bx", "bl"}, "bh", 40},
    {{"r11", "r11d", "r11w", "r11b"}, "", 48}, {{"r10", "r10d", "r10w", "r10b"}, "", 56},
    {{"r9", "r9d", "r9w", "r9b"}, "", 64},     {{"r8", "r8d", "r8w", "r8b"}, "", 72},
    {{"rax", "eax", "ax", "al"}, "ah", 80},    {{"rcx", "ecx", "cx", "cl"}, "ch", 88},
    {{"rdx", "edx", "dx", "dl"}, "dh", 96},    {{"rsi", "esi", "si", "sil"}, "", 104},
    {{"rdi", "edi", "di", "dil"}, "", 112},    {{"rip", "eip", "ip", ""}, "", 128},
    {{"rsp", "esp", "sp", "spl"}, "", 152},    {{"", "", "cs", ""}, "", 136},
    {{"", "eflags", "flags", ""}, "", 144},    {{"", "", "ss", ""}, "", 160},
};

constexpr std::string_view kArm64[] = {
    "x0",  "x1",  "x2",  "x3",  "x4",  "x5",  "x6",  "x7",  "x8",  "x9",     "x10", "x11",
    "x12", "x13", "x14", "x15", "x16", "x17", "x18", "x19", "x20", "x21",    "x22", "x23",
    "x24", "x25", "x26", "x27", "x28", "x29", "x30", "sp",  "pc",  "pstate",
};
constexpr std::string_view kArm[] = {
    "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "fp", "ip", "sp", "lr", "pc",
};
constexpr std::string_view kRiscV[] = {
    "pc", "ra", "sp", "gp", "tp",  "t0",  "t1", "t2", "s0", "s1", "a0",
    "a1", "a2", "a3", "a4", "a5",  "a6",  "a7", "s2", "s3", "s4", "s5",
    "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6",
};

std::optional<Register> find_x86(std::string_view name, bool perf_names) {
  if (name.empty()) return std::nullopt;
  for (const X86Row& row : kX86) {
    const std::string_view whole = row.names[0].empty() ? row.names[2] : row.names[0];
    for (size_t i = 0; i < 4; ++i) {
      if (row.names[i] != name) continue;
      const auto size_bytes = static_cast<uint8_t>(perf_names && i == 2 ? 8 : 8 >> i);
      return Register{whole, row.offset_bytes, size_bytes, 0};
    }
    if (row.high == name) return Register{whole, row.offset_bytes, 1, 8};
  }
  return std::nullopt;
}

/// The number behind `letter`, when that is all.
std::optional<size_t> numbered(std::string_view name, char letter) {
  if (name.size() < 2 || name[0] != letter) return std::nullopt;
  size_t number = 0;
  const auto [end, error] = std::from_chars(name.data() + 1, name.data() + name.size(), number);
  if (error != std::errc() || end != name.data() + name.size()) return std::nullopt;
  return number;
}

template <size_t kCount>
std::optional<size_t> index_of(const std::string_view (&names)[kCount], std::string_view name) {
  for (size_t i = 0; i < kCount; ++i) {
    if (names[i] == name) return i;
  }
  return std::nullopt;
}

Register saved_at(std::string_view name, size_t index, uint8_t size_bytes) {
  return Register{name, static_cast<uint16_t>(index * size_bytes), size_bytes, 0};
}

std::optional<Register> find_arm64(std::string_view name) {
  if (name == "fp") name = "x29";
  if (name == "lr") name = "x30";
  constexpr size_t kGeneral = 31;
  if (const std::optional<size_t> half = numbered(name, 'w'); half.has_value()) {
    if (*half >= kGeneral) return std::nullopt;
    Register found = saved_at(kArm64[*half], *half, 8);
    found.size_bytes = 4;
    return found;
  }
  const std::optional<size_t> index = index_of(kArm64, name);
  if (!index.has_value()) return std::nullopt;
  return saved_at(kArm64[*index], *index, 8);
}

std::optional<Register> find_arm(std::string_view name) {
  std::optional<size_t> index = index_of(kArm, name);
  if (!index.has_value()) index = numbered(name, 'r');
  if (!index.has_value() || *index >= std::size(kArm)) return std::nullopt;
  return saved_at(kArm[*index], *index, 4);
}

std::optional<Register> find_riscv(std::string_view name) {
  if (name == "fp") name = "s0";
  std::optional<size_t> index = index_of(kRiscV, name);
  if (!index.has_value()) index = numbered(name, 'x');
  if (!index.has_value() || *index >= std::size(kRiscV) || name == "x0") return std::nullopt;
  return saved_at(kRiscV[*index], *index, 8);
}

}  // namespace

std::optional<Register> find_register(Machine machine, std::string_view name, bool perf_names) {
  switch (machine) {
    case Machine::X86_64:
    case Machine::X86:
      return find_x86(name, perf_names);
    case Machine::Arm64:
      return find_arm64(name);
    case Machine::Arm:
      return find_arm(name);
    case Machine::RiscV:
      return find_riscv(name);
  }
  return std::nullopt;
}

std::vector<std::string> register_names(Machine machine) {
  std::vector<std::string> names;
  switch (machine) {
    case Machine::X86_64:
    case Machine::X86:
      for (const X86Row& row : kX86) {
        const bool is_numbered = row.names[0].size() > 1 && row.names[0][1] <= '9';
        names.emplace_back(row.names[is_numbered ? 0 : 2]);
      }
      break;
    case Machine::Arm64:
      names.assign(std::begin(kArm64), std::end(kArm64));
      break;
    case Machine::Arm:
      names.assign(std::begin(kArm), std::end(kArm));
      break;
    case Machine::RiscV:
      names.assign(std::begin(kRiscV), std::end(kRiscV));
      break;
  }
  return names;
}

uint32_t register_argument_count(Machine machine) {
  switch (machine) {
    case Machine::X86_64:
      return 6;
    case Machine::X86:
      return 0;
    case Machine::Arm:
      return 4;
    case Machine::Arm64:
    case Machine::RiscV:
      break;
  }
  return 8;
}

}  // namespace ktap::symbol

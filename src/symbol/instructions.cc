// x86: a letter for each opcode says what follows it; the tables are the opcode maps of Intel's
// manual, volume 2, appendix A. Riscv says the length in an instruction's lowest bits; the others
// have one.
#include "symbol/instructions.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <optional>

namespace ktap::symbol {

namespace {

/// What follows an opcode. `m`: ModRM; `b`: ModRM, a byte; `z`: ModRM, a word as wide as the
/// operand, at most 4 bytes; `1` `2`: so many bytes; `4`: a word of 2 or 4; `v`: one of 2, 4 or 8;
/// `a`: an address; `r`: a jump's distance; `e`: 3 bytes; `f`: a far address; `g` `G`: ModRM, and
/// of two of its eight operations a byte or a word; `.`: nothing; `-`: no instruction in 64 bits.
constexpr std::string_view kOneByte =
    "mmmm14--mmmm14--"
    "mmmm14--mmmm14--"
    "mmmm14--mmmm14--"
    "mmmm14--mmmm14--"
    "................"
    "................"
    "---m----4z1b...."
    "1111111111111111"
    "bz-bmmmmmmmmmmmm"
    "..........-....."
    "aaaa....14......"
    "11111111vvvvvvvv"
    "bb2.--bze.2..1-."
    "mmmm---.mmmmmmmm"
    "11111111rr-1...."
    "-.--..gG......mm";

/// Behind 0F.
constexpr std::string_view kTwoBytes =
    "mmmm-.....-.-m.b"
    "mmmmmmmmmmmmmmmm"
    "mmmm----mmmmmmmm"
    "......-.--------"
    "mmmmmmmmmmmmmmmm"
    "mmmmmmmmmmmmmmmm"
    "mmmmmmmmmmmmmmmm"
    "bbbbmmm.mm--mmmm"
    "rrrrrrrrrrrrrrrr"
    "mmmmmmmmmmmmmmmm"
    "...mbmmm...mbmmm"
    "mmmmmmmmmmbmmmmm"
    "mmbmbbbm........"
    "mmmmmmmmmmmmmmmm"
    "mmmmmmmmmmmmmmmm"
    "mmmmmmmmmmmmmmmm";
static_assert(kOneByte.size() == 256 && kTwoBytes.size() == 256);

bool is_one_of(uint8_t byte, std::initializer_list<uint8_t> bytes) {
  return std::find(bytes.begin(), bytes.end(), byte) != bytes.end();
}

/// Of 32-bit code, where it differs from kOneByte.
char one_byte_of_32(uint8_t opcode) {
  if (kOneByte[opcode] != '-') return kOneByte[opcode];
  if (is_one_of(opcode, {0x62, 0xc4, 0xc5})) return 'm';
  if (is_one_of(opcode, {0xd4, 0xd5})) return '1';
  if (is_one_of(opcode, {0x9a, 0xea})) return 'f';
  return opcode == 0x82 ? 'b' : '.';
}

constexpr size_t kMostX86Bytes = 15;
/// Lock, and segments that mean nothing in 64-bit code.
constexpr std::initializer_list<uint8_t> kRefusedPrefixes = {0x26, 0x2e, 0x36, 0x3e, 0xf0};

/// What a vector instruction's prefix (VEX, EVEX, XOP) is before.
enum class Vector : uint8_t { None, Vex, Evex, Xop };

/// An instruction of x86, taken apart.
struct X86 {
  bool is_wide = true;            ///< 64-bit code
  bool has_operand_size = false;  ///< 66
  bool has_address_size = false;  ///< 67
  bool has_f2 = false;
  bool has_refused_prefix = false;  ///< lock, cs, ds, es, ss
  bool is_rex_wide = false;
  Vector vector = Vector::None;
  uint8_t map = 0;  ///< 0: one byte; 1: 0F; 2: 0F 38; 3: 0F 3A; XOP: 8 to 10
  uint8_t opcode = 0;
  size_t opcode_end = 0;  ///< where the opcode's last byte ends
  size_t bytes = 0;       ///< 0: no instruction
};

class X86Reader {
 public:
  X86Reader(Bytes code, bool is_wide) : code_(code.first(std::min(code.size(), kMostX86Bytes))) {
    out_.is_wide = is_wide;
  }

  X86 read() {
    const bool is_whole = read_prefixes() && read_opcode() && read_rest();
    out_.bytes = is_whole && at_ <= code_.size() ? at_ : 0;
    return out_;
  }

 private:
  bool has(size_t more) const { return at_ + more <= code_.size(); }

  bool skip(size_t bytes) {
    at_ += bytes;
    return true;
  }

  bool read_prefixes() {
    for (; has(1); ++at_) {
      const uint8_t byte = code_[at_];
      // Before another prefix a REX means nothing.
      const bool is_rex = out_.is_wide && (byte & 0xf0) == 0x40;
      const bool is_refused = is_one_of(byte, kRefusedPrefixes);
      if (!is_rex && !is_refused && !is_one_of(byte, {0x64, 0x65, 0x66, 0x67, 0xf2, 0xf3}))
        return true;
      out_.is_rex_wide = is_rex && (byte & 8) != 0;
      out_.has_operand_size = out_.has_operand_size || byte == 0x66;
      out_.has_address_size = out_.has_address_size || byte == 0x67;
      out_.has_f2 = out_.has_f2 || byte == 0xf2;
      out_.has_refused_prefix = out_.has_refused_prefix || is_refused;
    }
    return false;
  }

  /// In 32-bit code what would be such a prefix is LES, LDS or BOUND where a register follows that
  /// those do not take.
  bool is_vector_prefix(uint8_t first) const {
    if (first == 0x8f) return has(2) && (code_[at_ + 1] & 0x1f) >= 8;
    return has(2) && (out_.is_wide || (code_[at_ + 1] & 0xc0) == 0xc0);
  }

  bool read_opcode() {
    if (!has(1)) return false;
    const uint8_t first = code_[at_];
    if ((first == 0xc4 || first == 0xc5 || first == 0x62 || first == 0x8f) &&
        is_vector_prefix(first))
      return read_vector_prefix(first);
    out_.opcode = first;
    ++at_;
    if (first == 0x0f) {
      if (!has(1)) return false;
      out_.map = 1;
      out_.opcode = code_[at_++];
      if (out_.opcode == 0x38 || out_.opcode == 0x3a) {
        if (!has(1)) return false;
        out_.map = out_.opcode == 0x38 ? 2 : 3;
        out_.opcode = code_[at_++];
      }
    }
    out_.opcode_end = at_;
    return true;
  }

  bool read_vector_prefix(uint8_t first) {
    out_.vector = first == 0x62 ? Vector::Evex : first == 0x8f ? Vector::Xop : Vector::Vex;
    const size_t prefix_bytes = first == 0xc5 ? 2 : first == 0x62 ? 4 : 3;
    if (!has(prefix_bytes + 1)) return false;
    const uint8_t second = code_[at_ + 1];
    out_.map = first == 0xc5 ? 1 : first == 0x62 ? second & 7 : second & 0x1f;
    at_ += prefix_bytes;
    out_.opcode = code_[at_++];
    out_.opcode_end = at_;
    return true;
  }

  bool read_rest() {
    if (out_.vector == Vector::None) return read_operands(letter());
    if (out_.vector == Vector::Xop) {
      if (out_.map < 8 || out_.map > 10) return false;
      return read_modrm() && skip(out_.map == 8 ? 1 : out_.map == 10 ? 4 : 0);
    }
    if (out_.map == 1 && out_.opcode == 0x77 && out_.vector == Vector::Vex) return true;
    if (out_.map == 0 || out_.map == 4 || out_.map > 6) return false;
    return read_modrm() &&
           skip(out_.map == 3 || (out_.map == 1 && kTwoBytes[out_.opcode] == 'b') ? 1 : 0);
  }

  char letter() const {
    switch (out_.map) {
      case 0:
        return out_.is_wide ? kOneByte[out_.opcode] : one_byte_of_32(out_.opcode);
      case 1:
        return kTwoBytes[out_.opcode];
      case 2:
        return 'm';
      default:
        return 'b';
    }
  }

  bool read_operands(char what) {
    const size_t word = out_.has_operand_size && !out_.is_rex_wide ? 2 : 4;
    switch (what) {
      case '.':
        return true;
      case 'm': {
        // EXTRQ and INSERTQ of immediates.
        const bool has_two =
            out_.map == 1 && out_.opcode == 0x78 && (out_.has_operand_size || out_.has_f2);
        return read_modrm() && skip(has_two ? 2 : 0);
      }
      case 'b':
        return read_modrm() && skip(1);
      case 'z':
        return read_modrm() && skip(word);
      case 'g':
      case 'G': {
        const bool has_word = has(1) && (code_[at_] >> 3 & 7) < 2;
        return read_modrm() && skip(!has_word ? 0 : what == 'g' ? 1 : word);
      }
      case '1':
        return skip(1);
      case '2':
        return skip(2);
      case '4':
        return skip(word);
      case 'v':
        return skip(out_.is_rex_wide ? 8 : word);
      case 'a':
        return skip((out_.is_wide ? 8 : 4) / (out_.has_address_size ? 2 : 1));
      case 'r':  // 64-bit code has no distances of 2 bytes (on Intel's)
        return skip(out_.is_wide ? 4 : word);
      case 'e':
        return skip(3);
      case 'f':
        return skip(word + 2);
      default:
        return false;
    }
  }

  bool read_modrm() {
    if (!has(1)) return false;
    const uint8_t modrm = code_[at_++];
    const uint8_t mode = modrm >> 6;
    const uint8_t base = modrm & 7;
    // Of control and debug registers: always registers.
    const bool is_control =
        out_.map == 1 && out_.vector == Vector::None && out_.opcode >= 0x20 && out_.opcode <= 0x23;
    if (mode == 3 || is_control) return true;
    if (!out_.is_wide && out_.has_address_size) {
      return skip(mode == 1 ? 1 : (mode == 2 || base == 6) ? 2 : 0);
    }
    bool has_no_base = base == 5;
    if (base == 4) {
      if (!has(1)) return false;
      has_no_base = (code_[at_++] & 7) == 5;
    }
    return skip(mode == 1 ? 1 : (mode == 2 || has_no_base) ? 4 : 0);
  }

  Bytes code_;
  size_t at_ = 0;
  X86 out_;
};

/// Interrupts, ports, what only the kernel may do.
bool is_refused_opcode(uint8_t opcode) {
  const bool is_port = (opcode & 0xf4) == 0xe4 || (opcode & 0xfc) == 0x6c;
  return is_port || is_one_of(opcode, {0xcc, 0xcd, 0xce, 0xcf, 0xd6, 0xf1, 0xf4, 0xfa, 0xfb});
}

std::string_view why_no_x86_probe(const X86& instruction) {
  if (instruction.bytes == 0) return "none that is known";
  if (instruction.has_refused_prefix)
    return "one with a prefix (lock, or a segment) that uprobes refuse";
  if (instruction.vector != Vector::None) {
    // Uprobes take the opcode of a vector instruction for that of an ordinary one: they refuse it,
    // or go on as if it were a jump, a push or a return. Moves among the first are told right.
    const uint8_t row = instruction.opcode & 0xf8;
    const bool is_told = instruction.vector == Vector::Vex && instruction.map == 1 &&
                         (row == 0x10 || row == 0x28) && (instruction.opcode & 7) < 6;
    return is_told ? "" : "a vector instruction (VEX, EVEX) that uprobes mistake for another";
  }
  if (instruction.map == 0 && is_refused_opcode(instruction.opcode))
    return "one that uprobes refuse";
  return "";
}

/// Loads, broadcasts and zeroing: they write a vector register and nothing else.
bool fills_vector(const X86& instruction) {
  if (instruction.vector != Vector::Vex && instruction.vector != Vector::Evex) return false;
  if (instruction.map == 1)
    return is_one_of(instruction.opcode, {0x10, 0x28, 0x57, 0x6e, 0x6f, 0xef});
  return instruction.map == 2 &&
         is_one_of(instruction.opcode, {0x18, 0x58, 0x59, 0x78, 0x79, 0x7a, 0x7b, 0x7c});
}

/// Some jump of the function leads to `target`, or nobody knows where one leads.
bool is_jumped_to(Bytes code, size_t target) {
  for (size_t at = 0; at < code.size();) {
    const Bytes rest = code.subspan(at);
    const X86 one = X86Reader(rest, true).read();
    if (one.bytes == 0) return true;
    at += one.bytes;
    if (one.vector != Vector::None) continue;
    const bool is_near =
        (one.map == 0 && one.opcode == 0xe9) || (one.map == 1 && (one.opcode & 0xf0) == 0x80);
    const bool is_short = one.map == 0 && ((one.opcode & 0xf0) == 0x70 || one.opcode == 0xeb ||
                                           (one.opcode & 0xfc) == 0xe0);
    if (!is_near && !is_short) continue;
    const size_t width = is_near ? 4 : 1;
    const uint64_t number = read_number(rest, one.bytes - width, width);
    const int64_t distance =
        is_near ? static_cast<int32_t>(number) : int64_t{static_cast<int8_t>(number)};
    if (static_cast<int64_t>(at) + distance == static_cast<int64_t>(target)) return true;
  }
  return false;
}

/// Of A32: what compilers put into functions. Whatever else uprobes refuse only a system has.
std::string_view why_no_arm_probe(uint32_t word) {
  constexpr uint32_t kAlways = 0xf0000000;
  if ((word & kAlways) == kAlways) {
    const bool is_preload = (word & 0xfe300000) == 0xf4100000 || (word & 0xfe300010) == 0xf6100000;
    const bool is_blx = (word & 0xfe000000) == 0xfa000000;
    return is_preload || is_blx ? ""
                                : "one of the vector unit, or for the system, that uprobes refuse";
  }
  if ((word & 0x0f000000) == 0x0f000000) return "a system call, which uprobes refuse";
  if ((word & 0x0c000000) == 0x0c000000)
    return "one of the floating-point unit, or another coprocessor, that uprobes refuse";
  if ((word & 0x0f0000f0) == 0x01000090)
    return "an exclusive load or store (ldrex, strex), which uprobes refuse";
  if ((word & 0x0e000000) == 0x08000000) {  // LDM, STM
    constexpr uint32_t kLink = 1U << 14, kProgram = 1U << 15;
    const uint32_t base = word >> 16 & 15;
    const uint32_t used = (word & 0xffff) | 1U << base;
    const bool has_both = (used & kLink) != 0 && (used & kProgram) != 0;
    if (base == 15 || has_both) return "one that moves lr and pc together, which uprobes refuse";
    if ((word & 0x00400000) != 0) return "one for the system, which uprobes refuse";
  }
  return "";
}

size_t riscv_bytes(Bytes code) {
  if (code.size() < 2) return 0;
  const uint8_t low = code[0];
  const size_t bytes = (low & 3) != 3 ? 2 : (low & 0x1f) != 0x1f ? 4 : (low & 0x3f) != 0x3f ? 6 : 8;
  return bytes <= code.size() ? bytes : 0;
}

void add_once(uint64_t address, std::vector<uint64_t>* out) {
  if (std::find(out->begin(), out->end(), address) == out->end()) out->push_back(address);
}

/// Those of LEA that are relative to the instruction.
std::vector<uint64_t> x86_code_addresses(Bytes code, uint64_t address) {
  std::vector<uint64_t> out;
  for (size_t at = 0; at < code.size();) {
    const Bytes rest = code.subspan(at);
    const X86 one = X86Reader(rest, true).read();
    if (one.bytes == 0) break;
    at += one.bytes;
    const bool is_lea = one.map == 0 && one.opcode == 0x8d && one.vector == Vector::None;
    if (!is_lea || (rest[one.opcode_end] & 0xc7) != 5) continue;
    const auto distance = static_cast<int32_t>(read_number(rest, one.opcode_end + 1, 4));
    add_once(address + at + static_cast<uint64_t>(int64_t{distance}), &out);
  }
  return out;
}

/// ADRP gives a page, the ADD behind it the place there.
std::vector<uint64_t> arm64_code_addresses(Bytes code, uint64_t address) {
  std::vector<uint64_t> out;
  std::array<std::optional<uint64_t>, 32> pages;
  for (size_t at = 0; at + 4 <= code.size(); at += 4) {
    const auto word = static_cast<uint32_t>(read_number(code, at, 4));
    const uint32_t to = word & 31;
    if ((word & 0x9f000000) == 0x90000000) {
      const uint64_t number = (word >> 5 & 0x7ffff) << 2 | (word >> 29 & 3);
      const auto distance = static_cast<int64_t>(number << 43) >> 31;  // 21 bits, in pages
      pages[to] = ((address + at) & ~uint64_t{0xfff}) + static_cast<uint64_t>(distance);
    } else if ((word & 0xffc00000) == 0x91000000 && pages[word >> 5 & 31]) {
      add_once(*pages[word >> 5 & 31] + (word >> 10 & 0xfff), &out);
    }
  }
  return out;
}

}  // namespace

size_t instruction_bytes(Machine machine, Bytes code) {
  switch (machine) {
    case Machine::X86_64:
    case Machine::X86:
      return X86Reader(code, machine == Machine::X86_64).read().bytes;
    case Machine::RiscV:
      return riscv_bytes(code);
    case Machine::Arm64:
    case Machine::Arm:
      break;
  }
  return code.size() >= 4 ? 4 : 0;
}

std::string_view why_no_probe(Machine machine, Bytes code) {
  if (machine == Machine::Arm && code.size() >= 4)
    return why_no_arm_probe(static_cast<uint32_t>(read_number(code, 0, 4)));
  if (machine != Machine::X86_64 && machine != Machine::X86) return "";
  return why_no_x86_probe(X86Reader(code, machine == Machine::X86_64).read());
}

size_t passed_over_bytes(Machine machine, Bytes code) {
  if (machine != Machine::X86_64) return 0;
  size_t at = 0;
  while (at < code.size()) {
    const X86 one = X86Reader(code.subspan(at), true).read();
    if (why_no_x86_probe(one).empty()) return at == 0 || is_jumped_to(code, at) ? 0 : at;
    if (!fills_vector(one)) return 0;
    at += one.bytes;
  }
  return 0;
}

std::vector<uint64_t> code_addresses(Machine machine, Bytes code, uint64_t address) {
  if (machine == Machine::X86_64) return x86_code_addresses(code, address);
  if (machine == Machine::Arm64) return arm64_code_addresses(code, address);
  return {};
}

}  // namespace ktap::symbol

// Each argument takes so many general registers, so many float registers, or words of the stack.
// What conventions split in other ways (vectors, structs with floats beyond x86-64) is not known.
#include "symbol/calling_convention.h"

#include <array>
#include <optional>
#include <string_view>

namespace ktap::symbol {

namespace {

using schema::CKind;
using schema::CShape;
using schema::CType;
using schema::KernelTypes;

constexpr std::array<std::string_view, 6> kX86_64 = {"rdi", "rsi", "rdx", "rcx", "r8", "r9"};
constexpr std::array<std::string_view, 4> kArm = {"r0", "r1", "r2", "r3"};
constexpr std::array<std::string_view, 8> kArm64 = {"x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7"};
constexpr std::array<std::string_view, 8> kRiscV = {"a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7"};

std::string_view argument_register(Machine machine, uint32_t index) {
  switch (machine) {
    case Machine::X86_64:
      return kX86_64[index];
    case Machine::Arm:
      return kArm[index];
    case Machine::Arm64:
      return kArm64[index];
    case Machine::RiscV:
      return kRiscV[index];
    case Machine::X86:
      break;
  }
  return {};
}

/// What an argument takes.
struct Need {
  /// Elsewhere: in float registers or on the stack, so that of the latter no more is known.
  enum class Kind : uint8_t { Unsure, General, Float, Memory, Elsewhere } kind = Kind::Unsure;
  uint32_t words = 1;        ///< General, Memory
  bool also_floats = false;  ///< a struct of both kinds: in registers, not in one of them
};

bool is_number(CKind kind) {
  return kind == CKind::Int || kind == CKind::Bool || kind == CKind::Enum || kind == CKind::Pointer;
}

/// Marks in `halves` which eight bytes of a struct hold something else than floats. False: of no
/// known shape.
bool mark_halves(const KernelTypes& types, CType type, uint32_t offset, int depth,
                 std::array<bool, 2>* halves) {
  constexpr int kMostDepth = 8;
  const CShape shape = types.shape(type);
  if (depth > kMostDepth || offset + shape.size_bytes > 16) return false;
  if (is_number(shape.kind)) {
    for (uint32_t at = offset; at < offset + shape.size_bytes; ++at) (*halves)[at / 8] = true;
    return true;
  }
  if (shape.kind == CKind::Opaque) return shape.size_bytes == 4 || shape.size_bytes == 8;
  if (shape.kind == CKind::Array) {
    const uint32_t each = types.shape(shape.target).size_bytes;
    for (uint32_t i = 0; i < shape.count; ++i) {
      if (!mark_halves(types, shape.target, offset + i * each, depth + 1, halves)) return false;
    }
    return each != 0;
  }
  if (shape.kind != CKind::Struct) return false;
  for (const std::string& name : types.member_names(type)) {
    const auto member = types.member(type, name);
    if (!member) return false;
    if (!mark_halves(types, member->type, offset + member->offset_bits / 8, depth + 1, halves))
      return false;
  }
  return true;
}

/// Whether a number in it lies where its size does not divide (packed structs).
bool is_unaligned(const KernelTypes& types, CType type, uint32_t offset, int depth) {
  constexpr int kMostDepth = 8;
  const CShape shape = types.shape(type);
  if (depth > kMostDepth) return false;
  if (is_number(shape.kind)) return shape.size_bytes != 0 && offset % shape.size_bytes != 0;
  if (shape.kind == CKind::Array) return is_unaligned(types, shape.target, offset, depth + 1);
  if (shape.kind != CKind::Struct) return false;
  for (const std::string& name : types.member_names(type)) {
    const auto member = types.member(type, name);
    if (!member || member->width_bits != 0) continue;
    if (is_unaligned(types, member->type, offset + member->offset_bits / 8, depth + 1)) return true;
  }
  return false;
}

Need struct_of_x86_64(const KernelTypes& types, const CShape& shape, CType type) {
  Need need;
  need.words = (shape.size_bytes + 7) / 8;
  if (shape.size_bytes > 16 || is_unaligned(types, type, 0, 0)) {
    need.kind = Need::Kind::Memory;
    return need;
  }
  std::array<bool, 2> halves = {};
  if (shape.size_bytes == 0 || !mark_halves(types, type, 0, 0, &halves)) return need;
  const uint32_t generals = (halves[0] ? 1 : 0) + (halves[1] ? 1 : 0);
  need.also_floats = generals < need.words;
  need.kind = generals == 0 ? Need::Kind::Float : Need::Kind::General;
  if (generals != 0) need.words = generals;
  return need;
}

Need need_of(Machine machine, bool has_float_registers, const KernelTypes& types,
             const PassedType& passed) {
  const uint32_t word = machine == Machine::X86 || machine == Machine::Arm ? 4 : 8;
  const CShape shape = types.shape(passed.type);
  Need need;
  if (passed.is_unknown) return need;
  if (passed.is_by_reference || (is_number(shape.kind) && shape.size_bytes <= word)) {
    need.kind = Need::Kind::General;
  } else if (machine == Machine::X86) {
    need.kind = Need::Kind::Memory;
    need.words = (shape.size_bytes + 3) / 4;
  } else if (shape.kind == CKind::Opaque && (shape.size_bytes == 4 || shape.size_bytes == 8)) {
    if (has_float_registers) need.kind = Need::Kind::Float;
  } else if (machine == Machine::X86_64 && shape.kind == CKind::Opaque && shape.size_bytes >= 16) {
    need.kind = Need::Kind::Elsewhere;  // long double, complex and 16-byte floats, vectors
  } else if (machine == Machine::X86_64 && is_number(shape.kind)) {
    need.kind = Need::Kind::General;  // __int128
    need.words = 2;
  } else if (shape.kind == CKind::Struct && machine == Machine::X86_64) {
    return struct_of_x86_64(types, shape, passed.type);
  } else if (shape.kind == CKind::Struct && machine != Machine::Arm) {
    std::array<bool, 2> halves = {};
    if (shape.size_bytes > 16) {
      need.kind = Need::Kind::General;  // its address
    } else if (mark_halves(types, passed.type, 0, 0, &halves) && halves[0] &&
               (shape.size_bytes <= 8 || halves[1])) {
      need.kind = Need::Kind::General;
      need.words = (shape.size_bytes + 7) / 8;
    }
  }
  return need;
}

class Walk {
 public:
  explicit Walk(Machine machine) : machine_(machine), generals_(register_argument_count(machine)) {}

  /// A result that lies in memory: its address is an argument before all others.
  void give_result(const Need& need, const CShape& shape) {
    if (machine_ == Machine::Arm && need.kind == Need::Kind::Memory) ++general_;
    // Perhaps in float registers, perhaps in memory.
    if (machine_ == Machine::Arm && need.kind == Need::Kind::Unsure &&
        shape.kind == CKind::Struct && shape.size_bytes > 4)
      is_sure_ = false;
    if (machine_ == Machine::X86_64 && need.kind == Need::Kind::Memory) ++general_;
    if (machine_ == Machine::X86 && need.kind == Need::Kind::Memory && need.words > 2) ++stack_;
    if (machine_ == Machine::RiscV && need.kind == Need::Kind::Memory) ++general_;
  }

  void know_nothing() { is_sure_ = false; }

  ArgumentPlace next(const Need& need) {
    if (need.kind == Need::Kind::Unsure) is_sure_ = false;
    if (!is_sure_) return {};
    if (need.kind == Need::Kind::Elsewhere) {
      is_stack_sure_ = false;
      return {};
    }
    if (need.kind == Need::Kind::Float) return next_float(need);
    if (need.kind == Need::Kind::General && general_ + need.words <= generals_) {
      ArgumentPlace place;
      if (need.words == 1 && !need.also_floats) {
        const auto found = find_register(machine_, argument_register(machine_, general_));
        if (found) place = {ArgumentPlace::Kind::Register, *found, 0};
      }
      general_ += need.words;
      return place;
    }
    // Of more than a word some is still in registers, or aligned: only x86-64 puts all of it there.
    const bool is_x86 = machine_ == Machine::X86_64 || machine_ == Machine::X86;
    if (need.words > 1 && !is_x86) is_sure_ = false;
    return is_sure_ && is_stack_sure_ ? on_stack(need.words) : ArgumentPlace();
  }

 private:
  ArgumentPlace next_float(const Need& need) {
    constexpr uint32_t kFloats = 8;
    float_ += need.words;
    if (float_ > kFloats) is_sure_ = false;
    return {};
  }

  ArgumentPlace on_stack(uint32_t words) {
    ArgumentPlace place;
    place.kind = ArgumentPlace::Kind::Stack;
    const uint32_t word = machine_ == Machine::X86 || machine_ == Machine::Arm ? 4 : 8;
    place.value = int64_t{stack_} * word + stack_arguments_offset(machine_);
    stack_ += words;
    return place;
  }

  Machine machine_;
  uint32_t generals_;
  uint32_t general_ = 0, float_ = 0, stack_ = 0;  // taken so far
  bool is_sure_ = true;
  bool is_stack_sure_ = true;
};

}  // namespace

uint32_t stack_arguments_offset(Machine machine) {
  return machine == Machine::X86_64 ? 8 : machine == Machine::X86 ? 4 : 0;
}

std::vector<ArgumentPlace> argument_places(Machine machine, const KernelTypes& types,
                                           const PassedType& result,
                                           const std::vector<PassedType>& parameters,
                                           bool has_float_registers) {
  Walk walk(machine);
  const CShape shape = types.shape(result.type);
  Need gives = need_of(machine, has_float_registers, types, result);
  const uint32_t most_bytes = machine == Machine::Arm ? 32 : 16;  // of what registers may hold
  const bool is_long = shape.kind == CKind::Struct && shape.size_bytes > most_bytes;
  if (result.is_by_reference || is_long) gives.kind = Need::Kind::Memory;
  walk.give_result(gives, shape);
  if (result.is_unknown && !is_long && shape.size_bytes != 0) walk.know_nothing();
  std::vector<ArgumentPlace> places;
  for (const PassedType& parameter : parameters)
    places.push_back(walk.next(need_of(machine, has_float_registers, types, parameter)));
  return places;
}

}  // namespace ktap::symbol

// Prices by costs.def, weights by a walk over the code: within a line each two-way branch halves,
// unless one way is rare.
#include "backend/cost.h"

#include <algorithm>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include "bpf/helpers.h"
#include "bpf/insn.h"

namespace ktap::backend {

namespace {

using bpf::Insn;

enum class Price : uint32_t {
#define KTAP_COST(name, ps) name = ps,
#define KTAP_HELPER_COST(helper, ps)
#include "backend/costs.def"
#undef KTAP_COST
#undef KTAP_HELPER_COST
};

uint32_t picoseconds(Price price) { return static_cast<uint32_t>(price); }

constexpr double kMisses = 0.125;       // a guess: of look-ups in tables
constexpr uint8_t kTwoSlotLoad = 0x18;  // class Ld, mode Imm, double word
constexpr uint8_t kOperationMask = 0xf0;

uint8_t class_of(const Insn& insn) { return insn.code & 7; }
uint8_t operation_of(const Insn& insn) { return insn.code & kOperationMask; }
bool is_jump_class(const Insn& insn) {
  return class_of(insn) == bpf::kClassJmp || class_of(insn) == bpf::kClassJmp32;
}
bool is(const Insn& insn, bpf::JumpOp op) {
  return class_of(insn) == bpf::kClassJmp && operation_of(insn) == static_cast<uint8_t>(op);
}
bool is_branch(const Insn& insn) {
  return is_jump_class(insn) && !is(insn, bpf::JumpOp::Call) && !is(insn, bpf::JumpOp::Exit) &&
         !is(insn, bpf::JumpOp::Always);
}

std::optional<bpf::Helper> helper_of(const Insn& call) {
  if (call.src != 0) return std::nullopt;  // a function of the kernel or of the program
  return static_cast<bpf::Helper>(call.imm);
}

uint32_t map_price(bpf::Helper helper, bpf::MapKind kind) {
  const bool is_array = kind == bpf::MapKind::Array || kind == bpf::MapKind::PercpuArray;
  switch (helper) {
    case bpf::Helper::MapLookupElem:
      return picoseconds(is_array ? Price::ArrayLookup : Price::HashLookup);
    case bpf::Helper::MapUpdateElem:
      return picoseconds(kind == bpf::MapKind::PercpuHash ? Price::PercpuHashUpdate
                                                          : Price::HashUpdate);
    default:
      return picoseconds(Price::HashDelete);
  }
}

/// The price of a call; `last_map` is the map that was named last before it.
uint32_t call_price(const Insn& call, const bpf::MapSpec* last_map) {
  const std::optional<bpf::Helper> helper = helper_of(call);
  if (!helper) return picoseconds(Price::OtherCall);
  switch (*helper) {
    case bpf::Helper::MapLookupElem:
    case bpf::Helper::MapUpdateElem:
    case bpf::Helper::MapDeleteElem:
      return map_price(*helper, last_map == nullptr ? bpf::MapKind::Hash : last_map->kind);
#define KTAP_COST(name, ps)
#define KTAP_HELPER_COST(helper, ps) \
  case bpf::Helper::helper:          \
    return ps;
#include "backend/costs.def"
#undef KTAP_COST
#undef KTAP_HELPER_COST
    default:
      return picoseconds(Price::OtherCall);
  }
}

class Estimate {
 public:
  Estimate(const bpf::Program& program, const std::vector<bpf::MapSpec>& maps)
      : code_(program.code), program_(program), maps_(maps) {
    find_cold();
    find_entries();
  }

  std::vector<LineCost> run() {
    std::map<Place, LineCost> costs;
    std::map<Place, double> time;
    size_t next_ref = 0;
    const bpf::MapSpec* last_map = nullptr;
    for (size_t i = 0; i < code_.size(); ++i) {
      while (next_ref < program_.maps.size() && program_.maps[next_ref].insn <= i)
        last_map = &maps_[program_.maps[next_ref++].map];
      LineCost& cost = costs[place(i)];
      std::tie(cost.handler, cost.line) = place(i);
      ++cost.instructions;
      time[place(i)] += leave(i) * price(i, last_map);
    }
    std::vector<LineCost> out;
    for (auto& [at, cost] : costs) {
      cost.picoseconds = static_cast<uint32_t>(time[at] + 0.5);
      out.push_back(cost);
    }
    return out;
  }

 private:
  using Place = std::pair<uint32_t, uint32_t>;  // handler, line

  Place place(size_t i) const {
    return {program_.handler_at(i), i < program_.lines.size() ? program_.lines[i] : 0};
  }
  bool second_slot(size_t i) const { return i > 0 && code_[i - 1].code == kTwoSlotLoad; }
  size_t target(size_t i) const {
    return static_cast<size_t>(static_cast<int64_t>(i) + 1 + code_[i].off);
  }

  /// What stands behind the last exit is run when something is lost or fails.
  void find_cold() {
    size_t end = code_.size();
    for (const uint32_t callback : program_.callbacks) {  // functions that empty tables come last
      if (program_.handler_at(callback) == bpf::kNoHandler) end = std::min<size_t>(end, callback);
    }
    cold_begin_ = end;
    for (size_t i = end; i > 0; --i) {
      if (!is(code_[i - 1], bpf::JumpOp::Exit) || second_slot(i - 1)) continue;
      cold_begin_ = i;
      return;
    }
  }

  /// A way that ends the run at once, or leads to cold code.
  bool is_rare(size_t i) const {
    if (i >= cold_begin_) return true;
    if (i + 1 < cold_begin_ && is_move_of_zero(code_[i])) ++i;
    return is(code_[i], bpf::JumpOp::Exit);
  }
  static bool is_move_of_zero(const Insn& insn) {
    return insn.code == (bpf::kClassAlu64 | static_cast<uint8_t>(bpf::AluOp::Mov)) &&
           insn.dst == 0 && insn.imm == 0;
  }

  /// Weight 1 where a line is entered from another or from behind.
  void find_entries() {
    weight_.assign(code_.size() + 1, 0);
    if (!code_.empty()) weight_[0] = 1;
    std::vector<bool> reached(code_.size() + 1, false);
    for (size_t i = 0; i < cold_begin_; ++i) {
      if (second_slot(i)) {
        reached[i + 1] = true;
        continue;
      }
      if (is_jump_class(code_[i]) && !is(code_[i], bpf::JumpOp::Call) &&
          !is(code_[i], bpf::JumpOp::Exit)) {
        enter(i, target(i));
        if (target(i) > i && target(i) < code_.size()) reached[target(i)] = true;
      }
      const bool falls = !is(code_[i], bpf::JumpOp::Always) && !is(code_[i], bpf::JumpOp::Exit);
      if (falls && i + 1 < code_.size()) {
        enter(i, i + 1);
        reached[i + 1] = true;
      }
    }
    for (size_t i = 1; i < cold_begin_; ++i) {
      if (!reached[i]) weight_[i] = 1;  // only from behind: a loop
    }
  }
  void enter(size_t from, size_t to) {
    if (to < cold_begin_ && place(from) != place(to) && !is_rare(to)) weight_[to] = 1;
  }

  /// The weight of instruction `i`, handed on to what follows it in its line.
  double leave(size_t i) {
    if (i >= cold_begin_) return 0;
    const double weight = std::min(weight_[i], 1.0);
    const Insn& insn = code_[i];
    if (is_branch(insn) && !second_slot(i)) {
      const bool rare = is_rare(target(i));
      const bool falls_rare = is_rare(i + 1);
      const double taken = rare != falls_rare ? (rare ? 0 : 1) : taken_by_halves(i);
      hand_on(i, target(i), weight * taken);
      hand_on(i, i + 1, weight * (1 - taken));
    } else if (is(insn, bpf::JumpOp::Always) && !second_slot(i)) {
      hand_on(i, target(i), weight);
    } else if (!is(insn, bpf::JumpOp::Exit) || second_slot(i)) {
      hand_on(i, i + 1, weight);
    }
    return weight;
  }
  /// Half, but what is looked up in a table mostly is there.
  double taken_by_halves(size_t i) const {
    const bool asks = i > 0 && is(code_[i - 1], bpf::JumpOp::Call) &&
                      helper_of(code_[i - 1]) == bpf::Helper::MapLookupElem && code_[i].imm == 0;
    if (asks && is(code_[i], bpf::JumpOp::Eq)) return kMisses;
    if (asks && is(code_[i], bpf::JumpOp::Ne)) return 1 - kMisses;
    return 0.5;
  }
  void hand_on(size_t from, size_t to, double weight) {
    if (to > from && to < code_.size() && place(from) == place(to)) weight_[to] += weight;
  }

  double price(size_t i, const bpf::MapSpec* last_map) const {
    const Insn& insn = code_[i];
    if (second_slot(i)) return 0;
    const bool is_free = program_.free_call != 0 && insn == bpf::call_kernel(program_.free_call);
    if (is(insn, bpf::JumpOp::Call) && !is_free) return call_price(insn, last_map);
    const uint8_t operation = operation_of(insn);
    if (class_of(insn) == bpf::kClassAlu64 || class_of(insn) == bpf::kClassAlu) {
      const bool divides = operation == static_cast<uint8_t>(bpf::AluOp::Div) ||
                           operation == static_cast<uint8_t>(bpf::AluOp::Mod);
      return picoseconds(divides ? Price::Division : Price::Instruction);
    }
    if (class_of(insn) == bpf::kClassStx && (insn.code & 0xe0) == bpf::kModeAtomic)
      return picoseconds(Price::Atomic);
    return picoseconds(Price::Instruction);
  }

  const std::vector<Insn>& code_;
  const bpf::Program& program_;
  const std::vector<bpf::MapSpec>& maps_;
  size_t cold_begin_ = 0;
  std::vector<double> weight_;
};

}  // namespace

std::vector<LineCost> line_costs(const bpf::Program& program,
                                 const std::vector<bpf::MapSpec>& maps) {
  return Estimate(program, maps).run();
}

uint32_t stack_bytes(const bpf::Program& program) {
  constexpr uint8_t kStackEnd = static_cast<uint8_t>(bpf::Reg::R10);
  constexpr uint8_t kCopy =
      bpf::kClassAlu64 | bpf::kSourceReg | static_cast<uint8_t>(bpf::AluOp::Mov);
  constexpr uint8_t kAdd =
      bpf::kClassAlu64 | bpf::kSourceImm | static_cast<uint8_t>(bpf::AluOp::Add);
  int32_t lowest = 0;
  uint32_t all = 0;  // of the functions before: one calls the next
  size_t function = 0;
  const std::vector<Insn>& code = program.code;
  for (size_t i = 0; i < code.size(); ++i) {
    if (function < program.callbacks.size() && program.callbacks[function] == i) {
      all += static_cast<uint32_t>(-lowest);
      lowest = 0;
      ++function;
    }
    const Insn& insn = code[i];
    const uint8_t kind = insn.code & 7;
    const bool stores = kind == bpf::kClassSt || kind == bpf::kClassStx;
    const bool loads = kind == bpf::kClassLdx;
    if ((stores && insn.dst == kStackEnd) || (loads && insn.src == kStackEnd))
      lowest = std::min<int32_t>(lowest, insn.off);
    if (insn.code == kCopy && insn.src == kStackEnd && i + 1 < code.size() &&
        code[i + 1].code == kAdd && code[i + 1].dst == insn.dst)
      lowest = std::min(lowest, code[i + 1].imm);
    if (insn.code == kTwoSlotLoad) ++i;
  }
  return all + static_cast<uint32_t>(-lowest);
}

}  // namespace ktap::backend

// Constants and identities. Every rule keeps the value for all operands, wrapping and INT64_MIN
// included; none removes a way to fail (a zero divisor was checked before, by a branch of its own).
#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/glob.h"
#include "passes/passes.h"
#include "passes/rewrite.h"
#include "ssa/buckets.h"
#include "ssa/dominators.h"
#include "ssa/fold.h"

namespace ktap::passes {

namespace {

using ssa::BlockId;
using ssa::Inst;
using ssa::Op;
using ssa::Type;
using ssa::ValueId;

class Folder {
 public:
  Folder(ssa::Function& function, const ssa::Module& module)
      : f_(function), m_(module), replacements_(function) {}

  bool run() {
    for (BlockId block : ssa::reverse_postorder(f_)) {
      for (ValueId id : f_.blocks[block.index].insts) visit(id);
    }
    replacements_.apply(f_);
    settle_phis();
    for (uint32_t b = 0; b < f_.blocks.size(); ++b) fold_branch(BlockId(b));
    return changed_ || !replacements_.empty();
  }

 private:
  const Inst& operand(const Inst& inst, size_t i) const {
    return f_[replacements_.find(inst.operands[i])];
  }
  ValueId operand_id(const Inst& inst, size_t i) const {
    return replacements_.find(inst.operands[i]);
  }

  static std::optional<int64_t> constant(const Inst& inst) {
    if (inst.op == Op::ConstInt || inst.op == Op::ConstBool) return inst.imm;
    return std::nullopt;
  }

  /// The text of a ConstStr.
  const std::string* literal(const Inst& inst) const {
    return inst.op == Op::ConstStr ? &m_.strings[static_cast<size_t>(inst.imm)] : nullptr;
  }

  void become(ValueId id, int64_t value) {
    Inst& inst = f_[id];
    inst.op = inst.type == Type::Bool ? Op::ConstBool : Op::ConstInt;
    inst.imm = value;
    inst.operands.clear();
    changed_ = true;
  }

  void visit(ValueId id) {
    Inst& inst = f_[id];
    switch (inst.op) {
      case Op::Phi:
        visit_phi(id);
        return;
      case Op::Not: {
        const Inst& of = operand(inst, 0);
        if (auto value = constant(of)) return become(id, *value == 0);
        if (of.op == Op::Not) return replacements_.add(id, operand_id(of, 0));
        return;
      }
      case Op::Log2Bucket:
      case Op::LogLinearBucket:
      case Op::LinearBucket:
        if (auto sample = constant(operand(inst, 0))) {
          become(id, ssa::bucket_of(inst, m_, *sample));
        }
        return;
      case Op::IsNil:
        if (operand(inst, 0).op == Op::ConstNil) return become(id, 1);
        if (operand(inst, 0).op == Op::Wrap) return become(id, 0);
        return;
      case Op::IsTrue:
        if (operand(inst, 0).op == Op::ConstNil) return become(id, 0);
        if (operand(inst, 0).op == Op::Wrap) replacements_.add(id, operand_id(operand(inst, 0), 0));
        return;
      case Op::Unwrap:
        if (operand(inst, 0).op == Op::Wrap) replacements_.add(id, operand_id(operand(inst, 0), 0));
        return;
      default:
        if (visit_text(id)) return;
        break;
    }
    if (inst.operands.size() == 2 && (inst.type == Type::Int || inst.type == Type::Bool))
      visit_binary(id);
  }

  /// True for operations on strings.
  bool visit_text(ValueId id) {
    Inst& inst = f_[id];
    switch (inst.op) {
      case Op::StrEq: {
        const Inst& a = operand(inst, 0);
        const Inst& b = operand(inst, 1);
        if (operand_id(inst, 0) == operand_id(inst, 1)) return become(id, 1), true;
        // Interned: equal strings have equal ids.
        if (a.op == Op::ConstStr && b.op == Op::ConstStr) return become(id, a.imm == b.imm), true;
        return true;
      }
      case Op::StrLen:
        if (const std::string* text = literal(operand(inst, 0)))
          become(id, static_cast<int64_t>(text->size()));
        return true;
      case Op::StrByte:
        if (const std::string* text = literal(operand(inst, 0))) {
          const auto at = static_cast<uint64_t>(inst.imm);
          become(id, at < text->size() ? static_cast<unsigned char>((*text)[at]) : 0);
        }
        return true;
      case Op::StrFind:
        if (const std::string* text = literal(operand(inst, 0))) {
          const std::string& what = m_.strings[static_cast<size_t>(inst.imm)];
          const bool is_glob = what.find_first_of("*?[") != std::string::npos;
          const size_t at = is_glob ? glob_find(what, *text, 0) : text->find(what);
          become(id, at == std::string::npos ? 0 : static_cast<int64_t>(at) + 1);
        }
        return true;
      case Op::StrLess:
        if (operand_id(inst, 0) == operand_id(inst, 1)) return become(id, 0), true;
        if (const std::string* a = literal(operand(inst, 0))) {
          if (const std::string* b = literal(operand(inst, 1))) become(id, *a < *b ? 1 : 0);
        }
        return true;
      case Op::StrGlob:
      case Op::IdGlob:
        if (const std::string* text = literal(operand(inst, 0)))
          become(id, glob_match(m_.strings[static_cast<size_t>(inst.imm)], *text) ? 1 : 0);
        return true;
      default:
        return false;
    }
  }

  void visit_phi(ValueId id) {
    const Inst& phi = f_[id];
    // In a loop a phi may be its own operand: what is not changed in a round.
    ValueId first;
    bool all_same = true;
    std::optional<int64_t> value;
    for (size_t i = 0; i < phi.operands.size(); ++i) {
      const ValueId now = operand_id(phi, i);
      if (now == id) continue;
      if (!first.valid()) {
        first = now;
        value = constant(f_[first]);
      }
      all_same = all_same && now == first;
      if (constant(f_[now]) != value) value = std::nullopt;
    }
    if (!first.valid()) return;
    if (all_same) return replacements_.add(id, first);
    if (value) phis_of_constants_.push_back({id, *value});
  }

  /// A phi of equal constants is that constant; it moves behind the block's phis.
  void settle_phis() {
    if (phis_of_constants_.empty()) return;
    for (const auto& [id, value] : phis_of_constants_) become(id, value);
    for (ssa::Block& block : f_.blocks) {
      std::stable_partition(block.insts.begin(), block.insts.end(),
                            [&](ValueId id) { return f_[id].op == Op::Phi; });
    }
  }

  void visit_binary(ValueId id) {
    const Inst& inst = f_[id];
    const auto a = constant(operand(inst, 0));
    const auto b = constant(operand(inst, 1));
    if (a && b) {
      if (auto value = ssa::fold(inst.op, *a, *b)) become(id, *value);
      return;
    }
    if (operand_id(inst, 0) == operand_id(inst, 1)) return visit_alike(id);
    if (a) visit_left_constant(id, *a);
    if (b) visit_right_constant(id, *b);
  }

  void visit_alike(ValueId id) {
    switch (f_[id].op) {
      case Op::Sub:
      case Op::Xor:
      case Op::Ne:
      case Op::Lt:
        return become(id, 0);
      case Op::Eq:
      case Op::Le:
        return become(id, 1);
      case Op::And:
      case Op::Or:
      case Op::Min:
      case Op::Max:
        return replacements_.add(id, operand_id(f_[id], 0));
      default:
        return;
    }
  }

  void visit_left_constant(ValueId id, int64_t a) {
    const Inst& inst = f_[id];
    switch (inst.op) {
      case Op::Add:
      case Op::Or:
      case Op::Xor:
        if (a == 0) replacements_.add(id, operand_id(inst, 1));
        return;
      case Op::Mul:
        if (a == 1) return replacements_.add(id, operand_id(inst, 1));
        if (a == 0) become(id, 0);
        return;
      case Op::And:
        if (a == -1) return replacements_.add(id, operand_id(inst, 1));
        if (a == 0) become(id, 0);
        return;
      case Op::Eq:
        if (operand(inst, 1).type == Type::Bool && a == 1)
          replacements_.add(id, operand_id(inst, 1));
        return;
      default:
        return;
    }
  }

  void visit_right_constant(ValueId id, int64_t b) {
    const Inst& inst = f_[id];
    switch (inst.op) {
      case Op::Sub:
      case Op::Shl:
      case Op::Sar:
        if (b == 0) replacements_.add(id, operand_id(inst, 0));
        return;
      case Op::DivS:
        if (b == 1) replacements_.add(id, operand_id(inst, 0));
        return;
      case Op::ModS:
        if (b == 1 || b == -1) become(id, 0);
        return;
      case Op::Add:
      case Op::Or:
      case Op::Xor:
        if (b == 0) replacements_.add(id, operand_id(inst, 0));
        return;
      case Op::Mul:
        if (b == 1) return replacements_.add(id, operand_id(inst, 0));
        if (b == 0) become(id, 0);
        return;
      case Op::And:
        if (b == -1) return replacements_.add(id, operand_id(inst, 0));
        if (b == 0) become(id, 0);
        return;
      case Op::Eq:
        if (operand(inst, 0).type == Type::Bool && b == 1)
          replacements_.add(id, operand_id(inst, 0));
        return;
      default:
        return;
    }
  }

  /// A branch on a constant goes one way; one on a negation goes the other way round.
  void fold_branch(BlockId block) {
    if (f_.blocks[block.index].insts.empty()) return;
    Inst& inst = control(f_, block);
    if (inst.op != Op::Branch) return;
    auto& succs = f_.blocks[block.index].succs;
    if (succs[0] == succs[1]) return;
    if (f_[inst.operands[0]].op == Op::Not) {
      inst.operands[0] = f_[inst.operands[0]].operands[0];
      std::swap(succs[0], succs[1]);
      changed_ = true;
    }
    const Inst& condition = f_[inst.operands[0]];
    if (condition.op != Op::ConstBool) return;
    cut_edge(f_, block, succs[condition.imm != 0 ? 1 : 0]);
    inst.op = Op::Jump;
    inst.operands.clear();
    changed_ = true;
  }

  ssa::Function& f_;
  const ssa::Module& m_;
  Replacements replacements_;
  std::vector<std::pair<ValueId, int64_t>> phis_of_constants_;
  bool changed_ = false;
};

}  // namespace

bool fold_constants(ssa::Function& function, const ssa::Module& module) {
  return Folder(function, module).run();
}

}  // namespace ktap::passes

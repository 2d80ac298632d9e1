// The way through a function: what it needs, where its values live, then block by block; arithmetic
// and control.
#include <fmt/format.h>

#include <algorithm>

#include "backend/selector.h"
#include "base/check.h"
#include "ssa/op_info.h"

namespace ktap::backend {

using bpf::AluOp;
using bpf::JumpOp;
using bpf::Size;
using ssa::Inst;
using ssa::Op;
using ssa::ValueId;

namespace {

/// The test with its sides changed.
JumpOp mirrored(JumpOp op) {
  switch (op) {
    case JumpOp::SLt:
      return JumpOp::SGt;
    case JumpOp::SGt:
      return JumpOp::SLt;
    case JumpOp::SLe:
      return JumpOp::SGe;
    case JumpOp::SGe:
      return JumpOp::SLe;
    default:
      return op;
  }
}

}  // namespace

Selector::Selector(const Job& job, uint32_t program, const ssa::Module& module,
                   const bpf::KernelFacts& facts, const Options& options, UnitBuilder& unit,
                   bpf::Assembler& assembler, Frame& frame)
    : job_(job),
      program_(program),
      function_(*job.function),
      module_(module),
      facts_(facts),
      options_(options),
      unit_(unit),
      asm_(assembler),
      frame_(frame),
      order_(order_blocks(*job.function)),
      loops_(find_loops(*job.function, order_, loop_facts(job, facts), &unit.unit.tables)) {}

Result<void> Selector::body(const Entry& entry) {
  asm_.set_owner(job_.handler, job_.group_index);
  out_ = asm_.make_label();
  body_out_ = asm_.make_label();
  for (size_t i = 0; i < function_.blocks.size(); ++i) block_labels_.push_back(asm_.make_label());
  if (entry.checks_armed) {
    asm_.load_map_value(Reg::R2, unit_.unit.control_map, Control::kArmed);
    asm_.emit(bpf::load(Size::DW, Reg::R3, Reg::R2, 0));
    asm_.jump_to_if(JumpOp::Ne, Reg::R3, Control::kRunning, frame_.end);
  }
  check_number(entry);
  if (needs_.name_id && !entry.has_name) find_name();
  if (has_scratch_ && !is_called_back()) enter_scratch();
  if (walk_bytes_ != 0 && !is_called_back()) enter_walks();
  if (is_called_back()) {
    call_turns();
  } else {
    begin_loops();
    select_blocks();
    asm_.set_line(0);
    end_loops();
  }
  asm_.bind(out_);
  if (!failure_.empty()) return Error{failure_};
  return {};
}

// ---- before the code
// ----------------------------------------------------------------------------------------

Result<void> Selector::find_needs() {
  const ssa::EventGroup& group = *job_.group;
  if (group.events.empty()) return Error{"no event"};
  if (!loops_.problem.empty()) return Error{loops_.problem};
  if (is_tracepoint() && group.events.size() != 1) return Error{"several tracepoints in one group"};
  needs_.temp_bytes = 8;
  find_far_reads();
  for (ssa::BlockId block : order_.blocks) {
    for (ValueId id : function_.blocks[block.index].insts) {
      if (!order_.needed[id.index]) continue;
      need_of(id);
      Word word;
      if (inst(id).op == Op::EventVar && immediate_event_var(inst(id), &word)) {
        immediates_[id.index] = word;
      }
    }
  }
  place_walks();
  if (!failure_.empty()) return Error{failure_};
  return {};
}

bool Selector::is_stack_operation(Op op) { return op == Op::KernelStack || op == Op::UserStack; }

void Selector::need_of_stack(const Inst& of) {
  needs_.kernel_stack = needs_.kernel_stack || of.op == Op::KernelStack;
  if (of.op == Op::KernelStack && is_called_back())
    fail("stack() where loops are functions, which it would show");
  needs_.context = true;
  if (of.op == Op::UserStack) needs_.temp_bytes = std::max(needs_.temp_bytes, uint32_t{16});
}

void Selector::need_of(ValueId id) {
  const Inst& of = inst(id);
  if (of.str_kind == ssa::StrKind::Bytes && of.op != Op::Wrap && of.op != Op::Unwrap) {
    needs_.widest_string_bytes =
        std::max(needs_.widest_string_bytes, round_up8(read_buffer_bytes(of.max_bytes)));
  }
  needs_.makes_text = needs_.makes_text || wants_scratch(of.op);
  if (is_stack_operation(of.op)) need_of_stack(of);
  if (ssa::is_table_op(of.op)) return need_of_table(of);
  if (ssa::is_walk_op(of.op)) return need_of_walk(of);
  auto temp = [&](int32_t bytes) {
    needs_.temp_bytes = std::max(needs_.temp_bytes, static_cast<uint32_t>(bytes));
  };
  switch (of.op) {
    case Op::EventField:
      needs_.context = needs_.event = true;
      if (is_exit() && of.imm == 0) needs_.syscall_nr = true;
      if (of.imm != 0 && schema::is_syscall(job_.group->kind)) ++needs_.argument_reads;
      temp(16);
      break;
    case Op::EventVar:
      if (of.type == ssa::Type::None) fail("a variable without a type");
      if (static_cast<schema::BuiltinVar>(of.imm) == schema::BuiltinVar::Probename &&
          job_.group->events.size() > 1) {
        needs_.name_id = true;
      }
      needs_.task_reads += comes_from_task(id) ? 1 : 0;
      break;
    case Op::KernelRead:
      needs_.task_reads += is_direct_read(of) ? 1 : 0;
      break;
    case Op::CellAnd:
    case Op::CellOr:
    case Op::CellXor:
      if (!facts_.has_fetch_atomics) fail("this kernel has no atomic bit operations");
      break;
    case Op::TableClear:
      needs_.calls_back = true;
      if (!facts_.has_for_each_map_elem) fail("this kernel empties no tables from programs");
      break;
    case Op::OverrideReturn:
      needs_.context = needs_.sets_result = true;
      break;
    case Op::Emit:
      needs_.emits = true;
      if (module_.sites[static_cast<size_t>(of.imm)].raw == ssa::RawEvent::Record) {
        needs_.context = needs_.event = true;
        needs_.syscall_nr = needs_.syscall_nr || is_exit();
        needs_.argument_reads += schema::is_syscall(job_.group->kind) ? 6 : 0;
      }
      if (module_.sites[static_cast<size_t>(of.imm)].copies_stack) temp(16);
      break;
    case Op::RequestExit:
      needs_.can_end_run = true;
      break;
    case Op::Fail:
    case Op::LoopGuard:
    case Op::LoopTurn:
    case Op::CallGuard:
      needs_.can_end_run = needs_.can_end_run || options_.strict;
      break;
    default:
      break;
  }
}

void Selector::find_blocks() {
  block_of_.assign(function_.values.size(), ssa::BlockId());
  for (ssa::BlockId block : order_.blocks) {
    for (ValueId id : function_.blocks[block.index].insts) block_of_[id.index] = block;
  }
}

/// Whether the code of the operation uses R3 to R5: calls and what is written around them. Plain
/// arithmetic, tests and moves have R0 to R2.
bool Selector::needs_volatile(const Inst& of) const {
  switch (of.op) {
    case Op::ConstInt:
    case Op::ConstBool:
    case Op::ConstStr:
    case Op::ConstNil:
    case Op::Phi:
    case Op::Wrap:
    case Op::Unwrap:
    case Op::Add:
    case Op::Sub:
    case Op::Mul:
    case Op::And:
    case Op::Or:
    case Op::Xor:
    case Op::Shl:
    case Op::Sar:
    case Op::IsNil:
    case Op::CellGet:
    case Op::CellSet:
    case Op::CellAdd:
    case Op::TableLength:
    case Op::CallGuard:
    case Op::Jump:
    case Op::Return:
    case Op::Fail:
      return false;
    case Op::Eq:
    case Op::Ne:
    case Op::Lt:
    case Op::Le:
    case Op::Not:
    case Op::Branch:  // writes the conditions that are its own
      return std::any_of(of.operands.begin(), of.operands.end(), [&](ValueId operand) {
        return order_.fused[operand.index] && needs_volatile(inst(operand));
      });
    case Op::LoopGuard:
    case Op::LoopTurn:
      return loops_.form == LoopForm::IterNum;
    default:
      return true;
  }
}

// ---- the code
// -----------------------------------------------------------------------------------------------

namespace {

/// Whether something was read on all ways into a block. What comes by a back edge counts as not
/// read: it stands later in the order.
bool read_before(const std::vector<ssa::BlockId>& preds, const std::vector<bool>& read_at_end,
                 bool before_all) {
  return before_all ||
         (!preds.empty() && std::all_of(preds.begin(), preds.end(),
                                        [&](ssa::BlockId p) { return read_at_end[p.index]; }));
}

}  // namespace

void Selector::select_blocks() {
  std::vector<bool> window_is_read(function_.blocks.size(), false);  // at the block's end
  std::vector<bool> task_is_read(function_.blocks.size(), false);
  for (size_t i = 0; i < order_.blocks.size() && failure_.empty(); ++i) {
    ssa::BlockId block = order_.blocks[i];
    const auto& preds = function_.blocks[block.index].preds;
    window_is_read_ = read_before(preds, window_is_read, false);
    task_is_read_ = read_before(preds, task_is_read, frame_.task_is_read);
    next_block_ = i + 1 < order_.blocks.size() ? order_.blocks[i + 1] : ssa::BlockId();
    block_ = block;
    asm_.bind(block_labels_[block.index]);
    for (ValueId id : function_.blocks[block.index].insts) {
      if (!order_.needed[id.index] || order_.fused[id.index]) continue;
      set_line(inst(id));
      if (keeps_area_ && is_before_areas(id) && !is_called_back()) enter_areas();
      if (ssa::is_control(inst(id).op)) {
        switch (inst(id).op) {
          case Op::Jump: {
            std::vector<std::pair<Word, Word>> moves;
            edge_moves(block, 0, moves);
            parallel_moves(std::move(moves));
            go_to_block(block, function_.blocks[block.index].succs[0]);
            break;
          }
          case Op::Branch:
            branch(block, inst(id).operands[0]);
            break;
          default:
            control(id);
            break;
        }
      } else if (immediates_.count(id.index) == 0) {
        select(id);
      }
    }
    window_is_read[block.index] = window_is_read_;
    task_is_read[block.index] = task_is_read_;
  }
}

namespace {

bool is_text_operation(Op op) {
  switch (op) {
    case Op::StrLen:
    case Op::StrByte:
    case Op::StrFind:
    case Op::StrBytes:
    case Op::StrText:
    case Op::StrJoin:
    case Op::StrSlice:
    case Op::StrSub:
    case Op::StrCase:
    case Op::NumberName:
      return true;
    default:
      return false;
  }
}

}  // namespace

void Selector::table_update(ValueId id) {
  begin_update(id);
  table_operation(id);
  end_update(id);
}

namespace {

bool reads_kernel_memory(Op op) {
  return op == Op::KernelRead || op == Op::KernelText || op == Op::KernelAddress;
}

/// Made where they are used; phis by the edges.
bool has_no_code(Op op) {
  return is_constant(op) || op == Op::Phi || op == Op::Wrap || op == Op::Unwrap;
}

/// It changes something outside of the script.
bool is_action(Op op) {
  return op == Op::SendSignal || op == Op::OverrideReturn || op == Op::WriteUser ||
         op == Op::WriteText;
}

}  // namespace

void Selector::select(ValueId id) {
  if (is_text_operation(inst(id).op)) return text_operation(id);
  if (inst(id).op == Op::TableAdd || inst(id).op == Op::TableMerge) return table_update(id);
  if (ssa::is_table_op(inst(id).op)) return table_operation(id);
  if (ssa::is_walk_op(inst(id).op)) return table_walk(id);
  if (ssa::is_whole_table_op(inst(id).op)) return whole_table(id);
  if (ssa::is_cell_op(inst(id).op)) return cell(id);
  const Op op = inst(id).op;
  if (is_action(op)) return action(id);
  if (reads_kernel_memory(op)) return kernel_memory(id);
  if (is_stack_operation(op)) return walk_stack(id);
  if (op == Op::Random) return random(id);
  if (op == Op::UnionTag || op == Op::UnionWord || op == Op::UnionText) return read_union(id);
  if (has_no_code(op)) return;
  switch (op) {
    case Op::Add:
    case Op::Sub:
    case Op::Mul:
    case Op::And:
    case Op::Or:
    case Op::Xor:
      return arithmetic(id);
    case Op::DivS:
    case Op::ModS:
      return divide(id);
    case Op::Shl:
    case Op::Sar:
      return shift(id);
    case Op::Eq:
    case Op::Ne:
    case Op::Lt:
    case Op::Le:
    case Op::Not:
    case Op::StrEq:
    case Op::StrGlob:
    case Op::StrLess:
    case Op::IdGlob:
    case Op::IsNil:
    case Op::IsTrue:
      return condition_value(id);
    case Op::Min:
    case Op::Max:
      return extreme(id);
    case Op::EventVar:
      return event_var(id);
    case Op::EventField:
      return event_field(id);
    case Op::UserString:
    case Op::KernelString:
    case Op::ReadBytes:
      return read_text(id);
    case Op::Log2Bucket:
    case Op::LogLinearBucket:
      return power_bucket(id);
    case Op::LinearBucket:
      return linear_bucket(id);
    case Op::LoopGuard:
    case Op::LoopTurn:
      return loop_guard(id);
    case Op::CallGuard:
      return call_guard(id);
    case Op::Emit:
      return emit_record(id);
    case Op::RequestExit:
      return request_exit(id);
    default:
      break;
  }
  KTAP_UNREACHABLE();
}

void Selector::arithmetic(ValueId id) {
  const Inst& of = inst(id);
  AluOp op = AluOp::Add;
  switch (of.op) {
    case Op::Sub:
      op = AluOp::Sub;
      break;
    case Op::Mul:
      op = AluOp::Mul;
      break;
    case Op::And:
      op = AluOp::And;
      break;
    case Op::Or:
      op = AluOp::Or;
      break;
    case Op::Xor:
      op = AluOp::Xor;
      break;
    default:
      break;
  }
  ValueId a = of.operands[0], b = of.operands[1];
  int32_t imm = 0;
  if (op != AluOp::Sub && small_constant(a, &imm)) std::swap(a, b);
  // The result may have the home of one operand, never that of a second one behind another.
  if (op != AluOp::Sub && payload_word(b, 0, false) == home_word(id, 0)) std::swap(a, b);
  Reg dst = result_register(id, Reg::R1);
  load_word(dst, payload_word(a, 0, false));
  const bool is_mask = (op == AluOp::And || op == AluOp::Or) && is_constant(inst(b).op);
  const bool is_small = small_constant(b, &imm);
  const bool is_step = is_small && (op == AluOp::Add || op == AluOp::Sub);
  if ((is_mask && may_be_sign(a)) || (is_step && loops_.is_blind(block_))) untie(dst);
  if (is_small) {
    asm_.emit(bpf::alu64(op, dst, imm));
  } else {
    asm_.emit(bpf::alu64(op, dst, in_register(b, Reg::R2)));
  }
  store_result(id, dst);
}

/// Whether the verifier may know that the value is -1 or 0 and no other. Where such a one meets a
/// constant mask Linux 6.18 goes on in two ways, one for each, and when it has too many open ways
/// to keep another it crashes (maybe_fork_scalars() of its later releases).
bool Selector::may_be_sign(ValueId id) const {
  switch (inst(payload_owner(function_, id)).op) {
    case Op::EventVar:
    case Op::EventField:
    case Op::TableGet:
    case Op::CellGet:
    case Op::StrLen:
    case Op::StrByte:
      return false;
    default:
      return true;
  }
}

/// eBPF before cpu v4 divides unsigned: by the absolute values, then the sign. |x| = (x ^ s) - s
/// with s = x
/// >> 63.
void Selector::divide(ValueId id) {
  const Inst& of = inst(id);
  bool is_quotient = of.op == Op::DivS;
  int32_t imm = 0;
  if (facts_.has_cpu_v4) {
    const AluOp op = is_quotient ? AluOp::Div : AluOp::Mod;
    load_word(Reg::R1, payload_word(of.operands[0], 0, false));
    if (small_constant(of.operands[1], &imm)) {
      asm_.emit(bpf::signed64(op, Reg::R1, imm));
    } else {
      asm_.emit(bpf::signed64(op, Reg::R1, in_register(of.operands[1], Reg::R2)));
    }
    return store_result(id, Reg::R1);
  }
  bool by_positive = small_constant(of.operands[1], &imm) && imm > 0;
  load_word(Reg::R1, payload_word(of.operands[0], 0, false));
  asm_.emit(bpf::mov64(Reg::R3, Reg::R1));
  asm_.emit(bpf::alu64(AluOp::Arsh, Reg::R3, 63));
  asm_.emit(bpf::alu64(AluOp::Xor, Reg::R1, Reg::R3));
  asm_.emit(bpf::alu64(AluOp::Sub, Reg::R1, Reg::R3));
  AluOp op = is_quotient ? AluOp::Div : AluOp::Mod;
  if (by_positive) {
    asm_.emit(bpf::alu64(op, Reg::R1, imm));
  } else {
    load_word(Reg::R2, payload_word(of.operands[1], 0, false));
    asm_.emit(bpf::mov64(Reg::R4, Reg::R2));
    asm_.emit(bpf::alu64(AluOp::Arsh, Reg::R4, 63));
    asm_.emit(bpf::alu64(AluOp::Xor, Reg::R2, Reg::R4));
    asm_.emit(bpf::alu64(AluOp::Sub, Reg::R2, Reg::R4));
    asm_.emit(bpf::alu64(op, Reg::R1, Reg::R2));
    if (is_quotient) asm_.emit(bpf::alu64(AluOp::Xor, Reg::R3, Reg::R4));
  }
  asm_.emit(bpf::alu64(AluOp::Xor, Reg::R1, Reg::R3));
  asm_.emit(bpf::alu64(AluOp::Sub, Reg::R1, Reg::R3));
  store_result(id, Reg::R1);
}

void Selector::shift(ValueId id) {
  const Inst& of = inst(id);
  AluOp op = of.op == Op::Shl ? AluOp::Lsh : AluOp::Arsh;
  Reg dst = result_register(id, Reg::R1);
  Word count = payload_word(of.operands[1], 0, false);
  load_word(dst, payload_word(of.operands[0], 0, false));
  if (count.kind == Word::Kind::Imm) {
    asm_.emit(bpf::alu64(op, dst, static_cast<int32_t>(count.imm & 63)));
  } else {
    load_word(Reg::R2, count);
    asm_.emit(bpf::alu64(AluOp::And, Reg::R2, 63));
    asm_.emit(bpf::alu64(op, dst, Reg::R2));
  }
  store_result(id, dst);
}

void Selector::extreme(ValueId id) {
  const Inst& of = inst(id);
  const JumpOp keeps = of.op == Op::Min ? JumpOp::SLe : JumpOp::SGe;
  const bpf::Label done = asm_.make_label();
  const Reg dst = result_register(id, Reg::R1);
  load_word(dst, payload_word(of.operands[0], 0, false));
  int32_t imm = 0;
  if (small_constant(of.operands[1], &imm)) {
    asm_.jump_to_if(keeps, dst, imm, done);
    asm_.emit(bpf::mov64(dst, imm));
  } else {
    const Reg other = in_register(of.operands[1], Reg::R2);
    asm_.jump_to_if(keeps, dst, other, done);
    asm_.emit(bpf::mov64(dst, other));
  }
  asm_.bind(done);
  store_result(id, dst);
}

// ---- conditions
// ---------------------------------------------------------------------------------------------

/// A condition that is kept: 1, unless the jump says no. R0 is free: conditions use R1 to R5 alone.
void Selector::condition_value(ValueId id) {
  bpf::Label done = asm_.make_label();
  if (loops_.hides_constants()) {
    load_hidden(Reg::R0, 0);
    jump_if(id, false, done);
    asm_.emit(bpf::alu64(AluOp::Add, Reg::R0, 1));
  } else {
    asm_.emit(bpf::mov64(Reg::R0, 0));
    jump_if(id, false, done);
    asm_.emit(bpf::mov64(Reg::R0, 1));
  }
  asm_.bind(done);
  store_result(id, Reg::R0);
}

/// For conditions that turn out constant. Still a conditional jump: kernels refuse code that no
/// edge leads to.
void Selector::jump_constant(bool is_taken, bpf::Label target) {
  asm_.emit(bpf::mov64(Reg::R1, 0));
  asm_.jump_to_if(is_taken ? JumpOp::Eq : JumpOp::Ne, Reg::R1, 0, target);
}

/// Goes to `target` when the condition is `sense`, else on.
void Selector::jump_if(ValueId condition, bool sense, bpf::Label target) {
  const Inst& of = inst(condition);
  // condition_value() asks for a value's own operation; a Branch on a kept one tests the word.
  switch (of.op) {
    case Op::Not:
      if (order_.fused[of.operands[0].index]) return jump_if(of.operands[0], !sense, target);
      return asm_.jump_to_if(sense ? JumpOp::Eq : JumpOp::Ne,
                             tested(payload_word(of.operands[0], 0, false), Reg::R1), 0, target);
    case Op::IsNil: {
      Word tag = tag_word(of.operands[0]);
      if (tag.kind == Word::Kind::Imm) {
        return jump_constant((tag.imm == 0) == sense, target);
      }
      Reg reg = tested(tag, Reg::R1);
      return asm_.jump_to_if(sense ? JumpOp::Eq : JumpOp::Ne, reg, 0, target);
    }
    case Op::IsTrue:
      return asm_.jump_to_if(sense ? JumpOp::Ne : JumpOp::Eq,
                             tested(payload_word(of.operands[0], 0, false), Reg::R1), 0, target);
    case Op::StrEq:
    case Op::StrGlob:
      return string_jump(condition, sense, target);
    case Op::StrLess:
      return less_jump(condition, sense, target);
    case Op::IdGlob:
      return name_jump(condition, sense, target);
    default:
      return compare_jump(condition, sense, target);
  }
}

void Selector::compare_jump(ValueId condition, bool sense, bpf::Label target) {
  const Inst& of = inst(condition);
  JumpOp op = JumpOp::Eq;
  switch (of.op) {
    case Op::Eq:
      op = sense ? JumpOp::Eq : JumpOp::Ne;
      break;
    case Op::Ne:
      op = sense ? JumpOp::Ne : JumpOp::Eq;
      break;
    case Op::Lt:
      op = sense ? JumpOp::SLt : JumpOp::SGe;
      break;
    case Op::Le:
      op = sense ? JumpOp::SLe : JumpOp::SGt;
      break;
    default:
      KTAP_UNREACHABLE();
  }
  int32_t imm = 0;
  ValueId left = of.operands[0], right = of.operands[1];
  if (small_constant(left, &imm) && !small_constant(right, &imm)) {
    std::swap(left, right);
    op = mirrored(op);
  }
  Reg a = tested(payload_word(left, 0, false), Reg::R1);
  if (small_constant(right, &imm)) {
    asm_.jump_to_if(op, a, imm, target);
  } else {
    asm_.jump_to_if(op, a, tested(payload_word(right, 0, false), Reg::R2), target);
  }
}

// ---- control
// ------------------------------------------------------------------------------------------------

void Selector::go_to_block(ssa::BlockId from, ssa::BlockId to) {
  if (to != next_block_) asm_.jump_to(edge_label(from, to));
}

void Selector::branch(ssa::BlockId block, ValueId condition) {
  const ssa::Block& b = function_.blocks[block.index];
  std::vector<std::pair<Word, Word>> yes, no;
  if (auto only = constant_successor(function_, b)) {
    edge_moves(block, *only, yes);
    parallel_moves(std::move(yes));
    return go_to_block(block, b.succs[*only]);
  }
  edge_moves(block, 0, yes);
  edge_moves(block, 1, no);
  auto test = [&](bool sense, bpf::Label target) {
    if (order_.fused[condition.index]) return jump_if(condition, sense, target);
    asm_.jump_to_if(sense ? JumpOp::Ne : JumpOp::Eq,
                    tested(payload_word(condition, 0, false), Reg::R1), 0, target);
  };
  if (yes.empty() && b.succs[1] == next_block_) {
    test(true, edge_label(block, b.succs[0]));
    return parallel_moves(std::move(no));
  }
  bpf::Label otherwise = no.empty() ? edge_label(block, b.succs[1]) : asm_.make_label();
  test(false, otherwise);
  bool has_moves = !no.empty();
  parallel_moves(std::move(yes));
  if (!has_moves) return go_to_block(block, b.succs[0]);
  asm_.jump_to(edge_label(block, b.succs[0]));
  asm_.bind(otherwise);
  parallel_moves(std::move(no));
  go_to_block(block, b.succs[1]);
}

void Selector::control(ValueId id) {
  const Inst& of = inst(id);
  if (of.op == Op::Return) {
    if (next_block_.valid()) asm_.jump_to(body_out_);
    return;  // the last block falls through
  }
  KTAP_CHECK(of.op == Op::Fail);
  asm_.jump_to(failure_label(of.imm));
}

// ---- the control page
// ---------------------------------------------------------------------------------------

void Selector::cell(ValueId id) {
  const Inst& of = inst(id);
  Reg value = Reg::R2;
  if (of.op != Op::CellGet) value = in_register(of.operands[0], Reg::R2);
  asm_.load_map_value(Reg::R1, unit_.unit.control_map,
                      Control::kCells + 8 * static_cast<uint32_t>(of.imm));
  switch (of.op) {
    case Op::CellGet: {
      Reg dst = result_register(id, Reg::R1);
      asm_.emit(bpf::load(Size::DW, dst, Reg::R1, 0));
      return store_result(id, dst);
    }
    case Op::CellSet:
      return asm_.emit(bpf::store(Size::DW, Reg::R1, 0, value));
    default:
      return asm_.emit(bpf::atomic(atomic_of(of.op), Size::DW, Reg::R1, 0, value));
  }
}

/// The atomic operation behind an addition or a combination of bits.
bpf::AtomicOp Selector::atomic_of(Op op) {
  switch (op) {
    case Op::CellAnd:
    case Op::TableAnd:
      return bpf::AtomicOp::And;
    case Op::CellOr:
    case Op::TableOr:
      return bpf::AtomicOp::Or;
    case Op::CellXor:
    case Op::TableXor:
      return bpf::AtomicOp::Xor;
    default:
      return bpf::AtomicOp::Add;
  }
}

/// The first exit() wins; two at the same moment on two CPUs: either.
void Selector::request_exit(ValueId id) {
  bpf::Label done = asm_.make_label();
  Reg status = in_register(inst(id).operands[0], Reg::R2);
  asm_.load_map_value(Reg::R1, unit_.unit.control_map, 0);
  asm_.emit(bpf::load(Size::DW, Reg::R3, Reg::R1, Control::kArmed));
  asm_.jump_to_if(JumpOp::Ne, Reg::R3, Control::kRunning, done);
  asm_.emit(bpf::store(Size::DW, Reg::R1, Control::kExitStatus, status));
  asm_.emit(bpf::store(Size::DW, Reg::R1, Control::kArmed, Control::kExited));
  asm_.bind(done);
}

/// --strict: a run-time error ends the run, unless exit() was first.
void Selector::disarm() {
  bpf::Label done = asm_.make_label();
  asm_.load_map_value(Reg::R1, unit_.unit.control_map, 0);
  asm_.emit(bpf::load(Size::DW, Reg::R3, Reg::R1, Control::kArmed));
  asm_.jump_to_if(JumpOp::Ne, Reg::R3, Control::kRunning, done);
  asm_.emit(bpf::store(Size::DW, Reg::R1, Control::kArmed, Control::kFailed));
  asm_.bind(done);
}

Result<void> Selector::cold_code() {
  if (is_called_back()) write_turns();
  if (!cold_.empty() || !rare_.empty()) asm_.set_owner(job_.handler, job_.group_index);
  for (size_t i = 0; i < rare_.size(); ++i) {
    asm_.set_line(rare_[i].first);
    rare_[i].second();
  }
  for (const Cold& cold : cold_) {
    asm_.set_line(cold.line);
    asm_.bind(cold.label);
    bump_counter(cold.row);
    if (cold.disarms) disarm();
    asm_.jump_to(cold.resume);
  }
  if (!failure_.empty()) return Error{failure_};
  return {};
}

}  // namespace ktap::backend

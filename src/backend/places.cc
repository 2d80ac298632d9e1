// Where a body's values live: what is asked of find_homes(), and the words that live as long as the
// program.
#include <fmt/format.h>

#include <algorithm>

#include "backend/selector.h"

namespace ktap::backend {

using ssa::Inst;
using ssa::ValueId;

namespace {

constexpr uint32_t kFrameStep = 32;  // the verifier rounds a function's stack up to that

}  // namespace

/// Stack words that loops take.
uint32_t Selector::loop_words() const {
  if (is_called_back()) return 1 + (frame_.keeps_context ? 1 : 0);
  return loops_.counts + loops_.counts_calls + (loops_.form == LoopForm::IterNum ? 1 : 0);
}

/// R6 to R9 as far as the program leaves them.
void Selector::request_registers(HomeRequest& request) {
  request.registers = {Reg::R9};
  if (!needs_.emits) request.registers.push_back(Reg::R8);
  if (!has_scratch_) request.registers.push_back(Reg::R7);
  if (!frame_.keeps_context) request.registers.push_back(Reg::R6);
  // The event's name is kept in a register when enough are left for values.
  name_ = Word{};
  if (!needs_.name_id || request.registers.size() <= 2 || is_called_back()) return;
  name_ = Word{Word::Kind::Reg, 0, request.registers.back(), 0};
  request.registers.pop_back();
}

bool Selector::has_name_on_stack() const { return needs_.name_id && name_.kind != Word::Kind::Reg; }

void Selector::take_fixed_words() {
  size_t fixed = frame_.words;
  const auto stack_word = [&] { return homes_.fixed_offset[fixed++]; };
  if (has_name_on_stack()) name_ = Word{Word::Kind::Stack, 0, Reg::R0, stack_word()};
  if (keeps_area_) area_offset_ = stack_word();
  if (walk_bytes_ != 0) lists_offset_ = stack_word();
  if (is_called_back()) {
    if (frame_.keeps_context) context_offset_ = stack_word();
    scratch_offset_ = stack_word();
    int32_t at = 8;
    for (Word* word : {&budget_, &calls_}) {
      *word = Word{Word::Kind::Scratch, 0, Reg::R0, at};
      at += 8;
    }
  } else {
    if (loops_.counts) budget_ = Word{Word::Kind::Stack, 0, Reg::R0, stack_word()};
    if (loops_.counts_calls) calls_ = Word{Word::Kind::Stack, 0, Reg::R0, stack_word()};
    if (loops_.form == LoopForm::IterNum) iterator_offset_ = stack_word();
  }
  if (has_window_) window_offset_ = homes_.fixed_offset.back();  // the lowest
  value_offset_ += homes_.scratch_temp_offset;
  // The name's id has its place only now.
  for (auto& [value, word] : immediates_) {
    const Inst& of = function_.values[value];
    if (of.op == ssa::Op::EventVar) immediate_event_var(of, &word);
  }
}

/// What is asked of find_homes() when longer strings than `limit` bytes go to scratch, and numbers
/// too where `words_too`.
HomeRequest Selector::home_request(uint32_t limit, bool words_too) {
  HomeRequest request;
  request.stack_string_bytes = limit;
  request.words_in_scratch = words_too;
  key_in_scratch_ = needs_.widest_key_bytes > limit;
  has_scratch_ = key_in_scratch_ || needs_.makes_text || needs_.widest_string_bytes > limit ||
                 loops_.in_memory || words_too;
  request_registers(request);
  request.fixed_words = frame_.words + loop_words();
  request.fixed_words += (has_name_on_stack() ? 1 : 0) + (keeps_area_ ? 1 : 0);
  request.fixed_words += walk_bytes_ != 0 ? 1 : 0;
  request.crosses_in_scratch = loops_.in_memory;
  if (is_called_back()) {
    request.fixed_scratch_words = 3;  // the next head, and both budgets
    start_temp_offset_ = -8 * static_cast<int32_t>(request.fixed_words + 1);
  }
  if (has_window_) request.fixed_words += window_.size_bytes / 8;
  request.temp_bytes = needs_.temp_bytes;
  if (needs_.widest_key_bytes != 0) {
    (key_in_scratch_ ? request.scratch_temp_bytes : request.temp_bytes) += needs_.widest_key_bytes;
  }
  value_offset_ = request.scratch_temp_bytes;  // behind a key
  request.scratch_temp_bytes += needs_.widest_made_value_bytes;
  request.immediate.assign(function_.values.size(), false);
  for (const auto& entry : immediates_) request.immediate[entry.first] = true;
  request.volatile_registers = {Reg::R5, Reg::R4, Reg::R3};
  for (const Inst& of : function_.values) request.is_clobber.push_back(needs_volatile(of));
  if (keeps_area_) request.is_clobber[area_before_.index] = true;
  request.phi_may_share = [this](ValueId phi, size_t operand) {
    const ssa::BlockId to = block_of_[phi.index];
    const ssa::BlockId from = function_.blocks[to.index].preds[operand];
    return !loops_.hides(from, to, phi) || !may_have_range(inst(phi).operands[operand], 0);
  };
  return request;
}

/// The kernel keeps the state of may_goto on the stack. A function that is called back has what the
/// program leaves.
uint32_t Selector::stack_room() const {
  const uint32_t room = kStackBytes - (frame_.has_functions ? kFrameStep : 0);
  if (loops_.form == LoopForm::MayGoto) return room - kMayGotoBytes;
  if (!is_called_back()) return room;
  return room -
         (static_cast<uint32_t>(-start_temp_offset_) + kFrameStep - 1) / kFrameStep * kFrameStep;
}

/// First with short strings and keys on the stack, then with all of them in scratch, then with
/// everything that can be there.
Result<void> Selector::find_places() {
  uint32_t best = UINT32_MAX;
  find_blocks();
  find_area_use();
  window_ = argument_window(facts_.syscall_regs);
  has_window_ = job_.group->kind == schema::EventKind::SyscallEnter && needs_.argument_reads > 1 &&
                window_.size_bytes <= kMaxWindowBytes && !frame_.is_typed && !frame_.is_record;
  struct Try {
    uint32_t limit;
    bool words_too;
  };
  for (const auto& [limit, words_too] :
       {Try{72, false}, Try{24, false}, Try{0, false}, Try{0, true}}) {
    homes_ = find_homes(function_, order_, home_request(limit, words_too));
    best = std::min(best, homes_.stack_bytes);
    if (homes_.stack_bytes > stack_room()) continue;
    if (homes_.scratch_bytes > kMaxScratchBytes) {
      return Error{fmt::format("needs {} bytes for strings, {} are there", homes_.scratch_bytes,
                               kMaxScratchBytes)};
    }
    take_fixed_words();
    return {};
  }
  return Error{fmt::format("needs {} bytes of stack, {} are there", best, stack_room())};
}

}  // namespace ktap::backend

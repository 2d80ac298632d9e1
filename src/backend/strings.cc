// Strings: equality and globs over zero-padded words, strings of user and kernel memory. Conditions
// use R1 to R5 alone.
#include <algorithm>
#include <string>
#include <string_view>

#include "backend/selector.h"
#include "base/check.h"
#include "base/glob.h"

namespace ktap::backend {

using bpf::AluOp;
using bpf::JumpOp;
using bpf::Size;
using ssa::Inst;
using ssa::Op;
using ssa::ValueId;

namespace {

/// More bytes to test than that, and the verifier, which follows each test's two ways, walks for
/// long (guessed; in a loop it has a limit on their number).
constexpr size_t kMaxByteTests = 256;

/// A glob that is text with a * before it, behind it, or neither.
struct SimpleGlob {
  bool is_simple = false;
  bool open_front = false;
  bool open_back = false;
  std::string text;  ///< without the backslashes
};

SimpleGlob simple_glob(std::string_view pattern) {
  SimpleGlob simple;
  while (!pattern.empty() && pattern.front() == '*') {
    simple.open_front = true;
    pattern.remove_prefix(1);
  }
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '\\' && i + 1 < pattern.size()) {
      simple.text += pattern[++i];
    } else if (pattern[i] == '*' && pattern.find_first_not_of('*', i) == std::string_view::npos) {
      simple.open_back = true;
      break;
    } else if (std::string_view("*?[{\\").find(pattern[i]) != std::string_view::npos) {
      return simple;
    } else {
      simple.text += pattern[i];
    }
  }
  simple.open_back = simple.open_back || (simple.open_front && simple.text.empty());
  simple.is_simple = true;
  return simple;
}

}  // namespace

void Selector::string_jump(ValueId id, bool sense, bpf::Label target) {
  const Inst& of = inst(id);
  if (of.op == Op::StrGlob) return glob_jump(id, sense, target);
  bool is_bytes = false;
  for (ValueId operand : of.operands) {
    is_bytes = is_bytes || inst(operand).str_kind == ssa::StrKind::Bytes;
  }
  if (is_bytes) return equal_jump(of.operands[0], of.operands[1], sense, target);
  // Two ids: interned, so equal ids are equal strings.
  Reg a = tested(payload_word(of.operands[0], 0, false), Reg::R1);
  Reg b = tested(payload_word(of.operands[1], 0, false), Reg::R2);
  asm_.jump_to_if(sense ? JumpOp::Eq : JumpOp::Ne, a, b, target);
}

void Selector::equal_jump(ValueId a, ValueId b, bool sense, bpf::Label target) {
  if (inst(a).op == Op::ConstStr) std::swap(a, b);
  uint32_t words = payload_words(inst(a));
  if (inst(b).op == Op::ConstStr) {
    const std::string& text = module_.strings[static_cast<size_t>(inst(b).imm)];
    // A NUL ends what was read; a literal with one inside equals nothing that was.
    if (text.size() > inst(a).max_bytes || text.find('\0') != std::string::npos) {
      return jump_constant(!sense, target);
    }
    words = std::min(words, static_cast<uint32_t>(text.size()) / 8 + 1);
  } else {
    words = std::max(words, payload_words(inst(b)));
  }
  bpf::Label differ = sense ? asm_.make_label() : target;
  for (uint32_t i = 0; i < words; ++i) {
    Word left = payload_word(a, i, true), right = payload_word(b, i, true);
    if (left.kind == Word::Kind::Imm) std::swap(left, right);
    load_word(Reg::R1, left);
    if (right.kind == Word::Kind::Imm && right.imm == static_cast<int32_t>(right.imm)) {
      asm_.jump_to_if(JumpOp::Ne, Reg::R1, static_cast<int32_t>(right.imm), differ);
    } else {
      load_word(Reg::R2, right);
      asm_.jump_to_if(JumpOp::Ne, Reg::R1, Reg::R2, differ);
    }
  }
  if (!sense) return;
  asm_.jump_to(target);
  asm_.bind(differ);
}

/// Goes to `mismatch` unless `what` stands at `position`; `at_end`: and the text ends behind it.
void Selector::match_at(const Word& text, uint32_t position, std::string_view what, bool at_end,
                        uint32_t bytes, bpf::Label mismatch) {
  auto [base, offset] = memory_of(text);
  auto test = [&, base = base, offset = offset](uint32_t index, uint8_t byte) {
    auto at = static_cast<int16_t>(offset + static_cast<int32_t>(index));
    asm_.emit(bpf::load(Size::B, Reg::R1, base, at));
    asm_.jump_to_if(JumpOp::Ne, Reg::R1, byte, mismatch);
  };
  for (uint32_t i = 0; i < what.size(); ++i) test(position + i, static_cast<uint8_t>(what[i]));
  uint32_t end = position + static_cast<uint32_t>(what.size());
  if (at_end && end < bytes) test(end, 0);
}

/// Whether `text` ends with `suffix`: its length tells where that would begin. Uses R1 to R5.
void Selector::suffix_jump(ValueId text, std::string_view suffix, bool sense, bpf::Label target) {
  const auto size = static_cast<int32_t>(suffix.size());
  const bpf::Label failed = sense ? asm_.make_label() : target;
  text_length(text, Reg::R5);
  asm_.jump_to_if(JumpOp::Lt, Reg::R2, size, failed);
  asm_.jump_to_if(JumpOp::Gt, Reg::R2, static_cast<int32_t>(text_bound(text)), failed);  // never
  const auto [base, offset] = memory_of(home_word(text, 0));
  asm_.emit(bpf::mov64(Reg::R4, base));
  asm_.emit(bpf::alu64(AluOp::Add, Reg::R4, Reg::R2));
  for (int32_t i = 0; i < size; ++i) {
    asm_.emit(bpf::load(Size::B, Reg::R1, Reg::R4, static_cast<int16_t>(offset - size + i)));
    asm_.jump_to_if(JumpOp::Ne, Reg::R1, static_cast<uint8_t>(suffix[static_cast<size_t>(i)]),
                    failed);
  }
  if (!sense) return;
  asm_.jump_to(target);
  asm_.bind(failed);
}

/// Text with a * at its ends or at none is compared byte by byte, anything else runs an automaton;
/// so does what would take too many comparisons.
void Selector::glob_jump(ValueId id, bool sense, bpf::Label target) {
  const std::string& pattern = module_.strings[static_cast<size_t>(inst(id).imm)];
  ValueId operand = payload_owner(function_, inst(id).operands[0]);
  if (inst(operand).op == Op::ConstStr) {
    const std::string& known = module_.strings[static_cast<size_t>(inst(operand).imm)];
    return jump_constant(glob_match(pattern, known) == sense, target);
  }
  if (inst(operand).str_kind != ssa::StrKind::Bytes) {
    return fail("a glob on a string of the script");
  }
  const SimpleGlob simple = simple_glob(pattern);
  if (!simple.is_simple) return automaton_jump(id, sense, target);
  const std::string_view glob = simple.text;
  const bool open_front = simple.open_front, open_back = simple.open_back;
  uint32_t bytes = inst(operand).max_bytes;
  if (glob.size() > bytes || glob.find('\0') != std::string_view::npos) {
    return jump_constant(!sense, target);
  }
  if (glob.empty() && (open_front || open_back)) return jump_constant(sense, target);  // "*"
  Word text = home_word(operand, 0);
  const size_t tests = (bytes - glob.size() + 1) * (glob.size() + (open_back ? 0 : 1));
  if (open_front && tests > kMaxByteTests) {
    if (!open_back && text.kind == Word::Kind::Scratch)
      return suffix_jump(operand, glob, sense, target);
    if (glob_bits(pattern, false)) return automaton_jump(id, sense, target);
  }
  bpf::Label matched = sense ? target : asm_.make_label();
  bpf::Label failed = sense ? asm_.make_label() : target;
  if (!open_front) {
    match_at(text, 0, glob, !open_back, bytes, failed);
  } else {
    // Each place in turn; a text that has ended matches nowhere behind.
    auto last = bytes - static_cast<uint32_t>(glob.size());
    for (uint32_t position = 0; position <= last; ++position) {
      bpf::Label next = position == last ? failed : asm_.make_label();
      match_at(text, position, glob, !open_back, bytes, next);
      if (position == last) break;
      asm_.jump_to(matched);
      asm_.bind(next);
    }
  }
  if (sense) {
    asm_.jump_to(target);
    asm_.bind(failed);
  } else {
    asm_.bind(matched);
  }
}

void Selector::read_text(ValueId id) {
  inst(id).op == Op::ReadBytes ? read_bytes(id) : read_string(id);
}

/// user_string() and kernel_string().
void Selector::read_string(ValueId id) {
  const Inst& of = inst(id);
  const bool is_kernel = of.op == Op::KernelString;
  const char* what = is_kernel ? "kernel_string" : "user_string";
  const Home& home = homes_.homes[id.index];
  if (of.str_kind != ssa::StrKind::Bytes || of.max_bytes == 0) return fail("a string of no bytes");
  bpf::Label done = asm_.make_label();
  clear(home.payload, round_up8(read_buffer_bytes(of.max_bytes)) / 8);
  load_word(Reg::R3, payload_word(of.operands[0], 0, false));
  if (is_kernel && kKernelIsUpperHalf) {
    // Some architectures read the process's memory here (arm64 without PAN).
    store_word(home.tag, 0);
    asm_.jump_to_if(JumpOp::SGe, Reg::R3, 0, done);
  }
  load_address(Reg::R1, home.payload);
  asm_.emit(bpf::mov64(Reg::R2, static_cast<int32_t>(read_buffer_bytes(of.max_bytes))));
  asm_.call_helper(is_kernel ? bpf::Helper::ProbeReadKernelStr : bpf::Helper::ProbeReadUserStr);
  const Reg tag = word_register(home.tag, Reg::R2);
  tag_of_length(tag);
  store_word(home.tag, tag);
  cut_string(id, what, done);
  asm_.bind(done);
}

/// buf(): what is asked for beyond the bound is cut, and counted.
void Selector::read_bytes(ValueId id) {
  const Inst& of = inst(id);
  const Home& home = homes_.homes[id.index];
  const auto bound = static_cast<int32_t>(of.max_bytes);
  const bpf::Label done = asm_.make_label(), read = asm_.make_label(), clipped = asm_.make_label();
  const bpf::Label of_user = asm_.make_label(), was_read = asm_.make_label();
  clear(home.payload, round_up8(of.max_bytes) / 8);
  set_word(home.tag, 0);
  load_word(Reg::R3, payload_word(of.operands[0], 0, false));
  load_word(Reg::R2, payload_word(of.operands[1], 0, false));
  asm_.jump_to_if(JumpOp::SLt, Reg::R2, 0, done);
  asm_.jump_to_if(JumpOp::Le, Reg::R2, bound, read);
  const uint32_t row = unit_.string_cut_row("buf", job_.handler, of.line, of.span);
  asm_.jump_to(count_and_resume(row, clipped));
  asm_.bind(clipped);
  load_word(Reg::R3, payload_word(of.operands[0], 0, false));
  asm_.emit(bpf::mov64(Reg::R2, bound));
  asm_.bind(read);
  load_address(Reg::R1, home.payload);
  if (kKernelIsUpperHalf) {
    asm_.jump_to_if(JumpOp::SGe, Reg::R3, 0, of_user);
    asm_.call_helper(bpf::Helper::ProbeReadKernel);
    asm_.jump_to(was_read);
    asm_.bind(of_user);
    asm_.call_helper(bpf::Helper::ProbeReadUser);
  } else {
    // Where the kernel begins is its configuration. The first helper refuses what is beyond.
    const bpf::Label again = asm_.make_label();
    asm_.call_helper(bpf::Helper::ProbeReadUser);
    asm_.jump_to_if(JumpOp::Eq, Reg::R0, 0, was_read);
    load_word(Reg::R3, payload_word(of.operands[0], 0, false));
    load_word(Reg::R2, payload_word(of.operands[1], 0, false));
    asm_.jump_to_if(JumpOp::Le, Reg::R2, bound, again);
    asm_.emit(bpf::mov64(Reg::R2, bound));
    asm_.bind(again);
    load_address(Reg::R1, home.payload);
    asm_.call_helper(bpf::Helper::ProbeReadKernel);
  }
  asm_.bind(was_read);
  asm_.jump_to_if(JumpOp::Ne, Reg::R0, 0, done);
  set_word(home.tag, 1);
  asm_.bind(done);
}

/// After a helper has read a string into read_buffer_bytes(): takes the byte beyond the bound away,
/// and counts a loss when there was one. R0 is the helper's result.
void Selector::cut_string(ValueId id, const std::string& what, bpf::Label done) {
  const Inst& of = inst(id);
  auto [base, offset] = memory_of(homes_.homes[id.index].payload);
  asm_.emit(bpf::store(Size::B, base,
                       static_cast<int16_t>(offset + static_cast<int32_t>(of.max_bytes)), 0));
  uint32_t row = unit_.string_cut_row(what, job_.handler, of.line, of.span);
  asm_.jump_to_if(JumpOp::Eq, Reg::R0, static_cast<int32_t>(read_buffer_bytes(of.max_bytes)),
                  count_and_resume(row, done));
}

}  // namespace ktap::backend

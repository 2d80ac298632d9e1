// One job → one eBPF program: prologue, then each SSA operation in its block's place. Third step of
// emit(). The class holds the state; its members are spread over prologue.cc, select.cc, values.cc,
// strings.cc, texts.cc, events.cc, tables.cc, records.cc. R6 holds the context, R7 the scratch, R8
// the ring record that is being filled, as far as the program has them; what is left of R6–R9 holds
// values. R0–R5 are temporaries of single operations.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "backend/homes.h"
#include "backend/layout.h"
#include "backend/unit.h"
#include "base/glob.h"
#include "bpf/assembler.h"
#include "bpf/kernel_facts.h"
#include "schema/builtin_vars.h"

namespace ktap::backend {

/// The bytes of struct pt_regs that hold all arguments of a system call.
struct ArgumentWindow {
  int32_t begin = 0;
  uint32_t size_bytes = 0;
};
ArgumentWindow argument_window(const bpf::SyscallRegs& regs);
constexpr uint32_t kMaxWindowBytes = 128;  ///< larger ones are read argument by argument

/// What a function asks of its program, found before any code is written.
struct Needs {
  bool context = false;  ///< reads the event: ctx beyond what the prologue reads
  bool event = false;    ///< reads more of a tracepoint than its name: EventField or a raw record
  bool emits = false;
  bool name_id = false;         ///< probename, in a group of several names
  bool syscall_nr = false;      ///< the number, at exit
  uint32_t argument_reads = 0;  ///< of system call arguments: fields, raw copies
  uint32_t temp_bytes = 0;      ///< stack that single operations take for a moment
  uint32_t widest_key_bytes = 0;
  uint32_t widest_value_bytes = 0;  ///< of values that are written from memory of their own
  uint32_t widest_string_bytes = 0;
  bool makes_text = false;  ///< has an operation of wants_scratch()
};

class Selector {
 public:
  Selector(const Job& job, const ssa::Module& module, const bpf::KernelFacts& facts,
           const Options& options, UnitBuilder& unit);

  /// Errors: what does not fit, in words for the user.
  Result<bpf::Program> run();

 private:
  using Reg = bpf::Reg;

  // ---- select.cc: the way through the function, arithmetic, control
  void find_needs();
  void need_of(const ssa::Inst& inst);
  Result<void> find_places();
  void select_blocks();
  void select(ssa::ValueId id);
  void arithmetic(ssa::ValueId id);
  void divide(ssa::ValueId id);
  void shift(ssa::ValueId id);
  void extreme(ssa::ValueId id);
  void condition_value(ssa::ValueId id);
  void jump_if(ssa::ValueId condition, bool sense, bpf::Label target);
  void jump_constant(bool is_taken, bpf::Label target);
  void compare_jump(ssa::ValueId condition, bool sense, bpf::Label target);
  void control(ssa::ValueId id);
  void branch(ssa::BlockId block, ssa::ValueId condition);
  void go_to_block(ssa::BlockId block);
  void cell(ssa::ValueId id);
  static bpf::AtomicOp atomic_of(ssa::Op op);
  void request_exit(ssa::ValueId id);
  void disarm();
  void cold_code();

  // ---- values.cc: words of values, in and out of registers
  Word tag_word(ssa::ValueId id);
  Word payload_word(ssa::ValueId id, uint32_t index, bool as_bytes);
  Word home_word(ssa::ValueId id, uint32_t index) const;
  void load_word(Reg dst, const Word& word);
  void store_word(const Word& word, Reg src);
  void store_word(const Word& word, int32_t imm);
  void move_word(const Word& dst, const Word& src);
  void move_word_to(Reg base, int32_t offset, const Word& src);
  void edge_moves(ssa::BlockId from, uint32_t successor, std::vector<std::pair<Word, Word>>& moves);
  void parallel_moves(std::vector<std::pair<Word, Word>> moves);
  /// Where memory begins that `word` is the first word of.
  std::pair<Reg, int32_t> memory_of(const Word& word) const;
  void load_address(Reg dst, const Word& word, int32_t extra = 0);
  void clear(const Word& first, uint32_t words);
  /// The register that holds the Int's value: its home, or `temporary` after a load.
  Reg in_register(ssa::ValueId id, Reg temporary);
  bool small_constant(ssa::ValueId id, int32_t* imm);
  Reg result_register(ssa::ValueId id, Reg temporary) const;
  void store_result(ssa::ValueId id, Reg reg);

  // ---- strings.cc
  void string_jump(ssa::ValueId id, bool sense, bpf::Label target);
  void equal_jump(ssa::ValueId a, ssa::ValueId b, bool sense, bpf::Label target);
  void glob_jump(ssa::ValueId id, bool sense, bpf::Label target);
  void match_at(const Word& text, uint32_t position, std::string_view what, bool at_end,
                uint32_t bytes, bpf::Label mismatch);
  void read_string(ssa::ValueId id);
  void cut_string(ssa::ValueId id, const std::string& what, bpf::Label done);

  // ---- texts.cc
  void text_operation(ssa::ValueId id);
  uint32_t text_bound(ssa::ValueId id) const;
  std::pair<Reg, int32_t> text_memory(ssa::ValueId id, Reg temporary);
  void text_length(ssa::ValueId id);
  void text_byte(ssa::ValueId id);
  void text_of_id(ssa::ValueId id);
  void text_of_int(ssa::ValueId id);
  void text_join(ssa::ValueId id);
  void text_slice(ssa::ValueId id);
  void text_sub(ssa::ValueId id);
  void text_case(ssa::ValueId id);
  void name_jump(ssa::ValueId id, bool sense, bpf::Label target);
  void less_jump(ssa::ValueId id, bool sense, bpf::Label target);
  void start_glob(const GlobBits& bits);
  void step_glob(const GlobBits& bits);
  void automaton_jump(ssa::ValueId id, bool sense, bpf::Label target);
  void text_find(ssa::ValueId id);
  void hide_from_verifier(Reg reg);

  // ---- prologue.cc
  void prologue();
  void dispatch(Reg number);
  void enter_scratch();

  // ---- events.cc: what the event gives
  void event_var(ssa::ValueId id);
  bool immediate_event_var(const ssa::Inst& inst, Word* word) const;
  void event_field(ssa::ValueId id);
  void syscall_field(ssa::ValueId id);
  void record_field(ssa::ValueId id);
  void string_field(ssa::ValueId id, const schema::Field& field);
  void narrow(Reg reg, uint32_t size_bytes, bool is_signed);
  void read_kernel(int32_t stack_offset, uint32_t size_bytes, Reg address, int32_t extra);
  void read_window();
  void load_argument(Reg dst, int32_t regs_offset);
  void raw_syscall(int32_t at);
  void raw_record(int32_t at, uint32_t room_bytes);
  void raw_header(int32_t at);

  // ---- tables.cc
  void table_operation(ssa::ValueId id);
  bool build_key(ssa::ValueId id);
  void store_key_word(uint32_t offset, const Word& word);
  void load_key_address(Reg dst);
  void call_table(bpf::Helper helper, const Table& table);
  void table_get(ssa::ValueId id, const Table& table);
  void table_add(ssa::ValueId id, const Table& table);
  void table_set(ssa::ValueId id, const Table& table);
  void table_combine(ssa::ValueId id, const Table& table);
  void get_bytes(ssa::ValueId id, const Table& table);
  void store_bytes(ssa::ValueId value, const Table& table);
  void check_key(const Table& table);

  // ---- records.cc
  void emit_record(ssa::ValueId id);
  void record_argument(const ssa::SiteArg& arg, ssa::ValueId value, int32_t at);
  bpf::Label count_and_resume(uint32_t row, bpf::Label resume, bool disarms = false);
  void bump_counter(uint32_t row);

  void fail(std::string text) {
    if (failure_.empty()) failure_ = std::move(text);
  }
  const ssa::Inst& inst(ssa::ValueId id) const { return function_[id]; }
  bool is_tracepoint() const { return job_.group->kind == schema::EventKind::Tracepoint; }
  bool is_exit() const { return job_.group->kind == schema::EventKind::SyscallExit; }
  void set_line(const ssa::Inst& of) { asm_.set_line(of.line); }

  /// Code that is rarely run stands behind the rest.
  struct Cold {
    bpf::Label label;
    bpf::Label resume;
    uint32_t row;
    uint32_t line;
    bool disarms;  // the run of the script ends here
  };

  // Layout of the temporary stack: the value of an update, the generation of a Delta table, then
  // the key or the registers of a system call.
  static constexpr int32_t kTempValue = 0, kTempGeneration = 8, kTempKey = 16;

  const Job& job_;
  const ssa::Function& function_;
  const ssa::Module& module_;
  const bpf::KernelFacts& facts_;
  const Options& options_;
  UnitBuilder& unit_;

  Needs needs_;
  Order order_;
  Homes homes_;
  bool has_scratch_ = false;
  bool key_in_scratch_ = false;
  uint32_t value_offset_ = 0;  ///< in scratch: where a value is put together
  ArgumentWindow window_;      // the system call's arguments, kept on the stack ...
  bool has_window_ = false;    // ... when more than one place reads them
  int32_t window_offset_ = 0;
  bool window_is_read_ = false;              // on every way to the instruction being written
  std::map<uint32_t, Word> immediates_;      // by value: known without a home
  int32_t name_offset_ = 0, nr_offset_ = 0;  // fixed stack words

  bpf::Assembler asm_;
  std::vector<bpf::Label> block_labels_;
  bpf::Label out_;
  ssa::BlockId next_block_;  // follows the one being written
  std::vector<Cold> cold_;
  std::map<uint32_t, bpf::Label> failures_;  // by counter row
  std::string failure_;
};

}  // namespace ktap::backend

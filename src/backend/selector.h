// One job → its body in a program: each SSA operation in its block's place. Third step of emit();
// program_writer.h puts bodies together. The class holds the state; its members are spread over
// prologue.cc, select.cc, values.cc, strings.cc, texts.cc, events.cc, task.cc, tables.cc,
// map_walks.cc, records.cc, turns.cc. R6 holds the context, R7 the scratch, R8 the ring record that
// is being filled, as far as the program has them; what is left of R6–R9 holds values. R0–R5 are
// temporaries of single operations.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "backend/homes.h"
#include "backend/layout.h"
#include "backend/loops.h"
#include "backend/typed_fields.h"
#include "backend/unit.h"
#include "base/glob.h"
#include "bpf/assembler.h"
#include "bpf/kernel_facts.h"
#include "schema/builtin_vars.h"
#include "ssa/kernel_access.h"

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
  bool name_id = false;             ///< probename, in a group of several names
  bool syscall_nr = false;          ///< the number, at exit
  bool can_end_run = false;         ///< may keep later handlers from starting: exit(), --strict
  uint32_t task_reads = 0;          ///< values that come from the task's structure
  uint32_t argument_reads = 0;      ///< of system call arguments: fields, raw copies
  uint32_t temp_bytes = 0;          ///< stack that single operations take for a moment
  uint32_t widest_key_bytes = 0;    ///< of kernel maps, and
  uint32_t widest_value_bytes = 0;  ///< the values that go in there
  uint32_t widest_made_value_bytes = 0;  ///< of values that are put together in scratch
  uint32_t widest_string_bytes = 0;
  bool calls_back = false;   ///< TableClear, TableWalk: the kernel calls functions of the program
  bool sets_result = false;  ///< OverrideReturn: in programs of single kprobes alone
  bool kernel_stack = false;
  bool makes_text = false;  ///< has an operation of wants_scratch()
};

/// Where the number of a system call lies: in the context of raw tracepoint sys_enter, and in both
/// records of raw_syscalls.
constexpr int16_t kNumberOffset = 8;
/// In those records: the arguments, or the result.
constexpr int16_t kRecordArguments = 16;

/// What the bodies of one program share. The words at the top of the stack have the same places in
/// all of them; 0: the program has no such word.
struct Frame {
  bool is_record = false;      ///< of a system call: the context is the record of raw_syscalls
  bool is_trampoline = false;  ///< the context is a function's arguments, then its result
  bool is_typed = false;       ///< the verifier knows what the arguments point to
  bool keeps_context = false;  ///< R6 is the context
  uint32_t own_frames = 0;     ///< innermost frames of the kernel's stack that are ours
  uint32_t words = 0;          ///< of the stack, taken from its top
  int32_t task_offset = 0;     ///< struct task_struct *
  bool task_is_read = false;   ///< by the prologue
  int32_t process_offset = 0;  ///< u32: the process, as a key of the set of those that are traced
  int32_t nr_offset = 0;       ///< number of the system call, sys_exit
  int32_t bodies_offset = 0;   ///< which bodies the number belongs to, a bit each
  bool has_functions = false;  ///< beside bodies: they want stack too
  uint32_t scratch_bytes = 0;  ///< the most that a body takes
  uint32_t scratch_entry = UINT32_MAX;
  uint32_t walk_bytes = 0;  ///< the most that a body's lists of keys take
  uint32_t walk_map = UINT32_MAX;
  bpf::Label end;  ///< out of the program
};

/// How many of the innermost frames of the kernel's stack are the tracing's in such a program.
uint32_t own_stack_frames(bpf::ProgramKind kind, bool is_syscall, const bpf::KernelFacts& facts);

/// Where the group's program goes: each point has the id of its name as cookie.
std::vector<bpf::AttachPoint> attach_points(const ssa::EventGroup& group);

/// u32 by number: the id of the name, all ones for what is none of the group's.
std::vector<uint8_t> name_table(const ssa::EventGroup& group);
/// One more in the counter of `row`; its number is put into the stack's word at `temp` for that.
/// Clobbers R0 to R5.
void add_to_counter(bpf::Assembler& code, uint32_t counter_map, uint32_t row, int16_t temp);
/// reg = the number of the system call out of the registers that a typed `reg` points to.
void load_saved_number(bpf::Assembler& code, const bpf::SyscallRegs& regs, bpf::Reg reg);

/// In scratch, where loops are by bpf_loop: the number of the loop whose head is next, from 1 on;
/// 0: the function's beginning.
constexpr int16_t kNextHead = 0;
/// 64-bit kernels have the upper half of all addresses to themselves.
constexpr bool kKernelIsUpperHalf = sizeof(void*) == 8;

class Selector {
 public:
  /// `program`: which one the job becomes part of, as the unit's tables count them.
  Selector(const Job& job, uint32_t program, const ssa::Module& module,
           const bpf::KernelFacts& facts, const Options& options, UnitBuilder& unit,
           bpf::Assembler& assembler, Frame& frame);

  // One after the other; the frame is settled between the first two.
  /// Errors: what does not fit, in words for the user.
  Result<void> find_needs();
  Result<void> find_places();
  /// How a body is entered: `bit` of the frame's word of bodies, when it has one.
  /// `checks_number`: the prologue has let other numbers pass. `checks_armed`: an earlier body may
  /// have ended the run. `has_name`: the prologue has kept the name's id already.
  struct Entry {
    bool checks_armed = false;
    bool checks_number = false;
    uint32_t bit = 0;
    bool has_name = false;
  };
  Result<void> body(const Entry& entry);
  /// What is rarely run, behind all bodies.
  Result<void> cold_code();
  /// Functions that the kernel calls; behind all other code of the program.
  void callbacks();

  const Needs& needs() const { return needs_; }
  /// Memory that a second run of the program on the same CPU would spoil.
  bool has_own_memory() const { return has_areas_ || has_scratch_ || walk_bytes_ != 0; }
  /// More rounds than may_goto does without a look at the clock.
  bool runs_long() const { return loops_.runs_long; }
  uint32_t scratch_bytes() const { return has_scratch_ ? homes_.scratch_bytes : 0; }
  /// Of the lists of keys for loops over the kernel's hash maps.
  uint32_t walk_bytes() const { return walk_bytes_; }
  /// The lowest word of the stack that helpers fill with the event's arguments; 0: none do.
  int32_t window_offset() const { return has_window_ ? window_offset_ : 0; }
  /// Where the id of the event's name is kept; Imm: nowhere.
  const Word& name() const { return name_; }

 private:
  using Reg = bpf::Reg;

  // ---- select.cc: the way through the function, arithmetic, control
  void need_of(ssa::ValueId id);
  void need_of_table(const ssa::Inst& inst);
  void need_of_map(const Table& table);
  void find_blocks();
  bool needs_volatile(const ssa::Inst& inst) const;
  void select_blocks();
  void select(ssa::ValueId id);
  void table_update(ssa::ValueId id);
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
  void go_to_block(ssa::BlockId from, ssa::BlockId to);
  void cell(ssa::ValueId id);
  static bpf::AtomicOp atomic_of(ssa::Op op);
  void request_exit(ssa::ValueId id);
  void disarm();

  // ---- guards.cc: rounds of loops
  void begin_loops();
  void end_loops();
  void loop_guard(ssa::ValueId id);
  void call_guard(ssa::ValueId id);
  void count_down(const Word& budget, bpf::Label over);
  void load_hidden(Reg dst, int64_t value);
  bool may_have_range(ssa::ValueId id, int depth) const;
  bool may_be_sign(ssa::ValueId id) const;
  /// The verifier ties a copy to what it was copied from until it is computed with. Of a value that
  /// may be negative it knows no bounds any more.
  void untie(Reg reg) { asm_.emit(bpf::alu64(bpf::AluOp::Xor, reg, 0)); }
  /// The word becomes `imm`, unknown to the verifier in loops. Uses R1.
  void set_word(const Word& word, int32_t imm);
  void set_register(Reg reg, int32_t imm);  ///< likewise; uses no other
  /// The value in a register to be tested: in loops a copy, so that the verifier learns nothing of
  /// the value itself.
  Reg tested(const Word& word, Reg temporary);
  /// Likewise, always into `dst`.
  void load_tested(Reg dst, const Word& word);
  bpf::Label end_of_run(uint32_t row, bool disarms);
  bpf::Label failure_label(int64_t failure);
  bpf::Label cut_label(ssa::ValueId id);

  // ---- places.cc: where values live
  void request_registers(HomeRequest& request);
  HomeRequest home_request(uint32_t limit, bool words_too);
  uint32_t stack_room() const;
  bool has_name_on_stack() const;
  uint32_t loop_words() const;
  void take_fixed_words();

  // ---- turns.cc: loops by bpf_loop
  bool is_called_back() const { return loops_.form == LoopForm::Callback; }
  void call_turns();
  void count_if_cut_short();
  void write_turns();
  void enter_turn();
  bool is_turn(ssa::BlockId from, ssa::BlockId to) const {
    return is_called_back() && loops_.goes_back(from, to);
  }
  bpf::Label edge_label(ssa::BlockId from, ssa::BlockId to) const;

  // ---- values.cc: words of values, in and out of registers
  Word tag_word(ssa::ValueId id);
  Word payload_word(ssa::ValueId id, uint32_t index, bool as_bytes);
  Word union_word(const ssa::Inst& of, uint32_t index);
  void read_union(ssa::ValueId id);
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
  static Reg word_register(const Word& word, Reg temporary) {
    return word.kind == Word::Kind::Reg ? word.reg : temporary;
  }
  Reg result_register(ssa::ValueId id, Reg temporary) const;
  void join_nil(ssa::ValueId id, Reg payload, bpf::Label absent);
  void tag_of_length(Reg tag);
  void store_result(ssa::ValueId id, Reg reg);

  // ---- strings.cc
  void string_jump(ssa::ValueId id, bool sense, bpf::Label target);
  void equal_jump(ssa::ValueId a, ssa::ValueId b, bool sense, bpf::Label target);
  void glob_jump(ssa::ValueId id, bool sense, bpf::Label target);
  void suffix_jump(ssa::ValueId text, std::string_view suffix, bool sense, bpf::Label target);
  void match_at(const Word& text, uint32_t position, std::string_view what, bool at_end,
                uint32_t bytes, bpf::Label mismatch);
  void read_text(ssa::ValueId id);
  void read_string(ssa::ValueId id);
  void read_bytes(ssa::ValueId id);
  void cut_string(ssa::ValueId id, const std::string& what, bpf::Label done);

  // ---- texts.cc
  void text_operation(ssa::ValueId id);
  uint32_t text_bound(ssa::ValueId id) const;
  std::pair<Reg, int32_t> text_memory(ssa::ValueId id, Reg temporary);
  void text_length(ssa::ValueId id, Reg sum = Reg::R0);
  void text_byte(ssa::ValueId id);
  void text_of_id(ssa::ValueId id);
  void number_name(ssa::ValueId id);
  void text_of_int(ssa::ValueId id);
  void next_digit();
  void next_hex_digit();
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
  void check_number(const Entry& entry);
  void load_number(Reg dst);
  void find_name();
  void enter_scratch();

  // ---- task.cc: what the task gives
  void find_far_reads();
  bool comes_from_task(ssa::ValueId id) const;
  void load_task(Reg dst);
  void task_var(ssa::ValueId id);
  void parent(ssa::ValueId id);

  // ---- events.cc: what the event gives
  void event_var(ssa::ValueId id);
  bool immediate_event_var(const ssa::Inst& inst, Word* word) const;
  void event_field(ssa::ValueId id);
  // ---- fetches.cc
  void fetched_field(ssa::ValueId id);
  void function_address(Reg dst);
  void trampoline_word(const schema::Field& field, Reg dst);
  void fetch_word(const schema::Field& field, Reg dst);
  void load_cookie();
  void raw_fetches(int32_t at);
  bool says_function() const;

  void syscall_field(ssa::ValueId id);
  void argument_field(ssa::ValueId id, const TypedField& from);
  void record_field(ssa::ValueId id);
  void bytes_field(ssa::ValueId id, const schema::Field& field);
  void string_field(ssa::ValueId id, const schema::Field& field);
  void narrow(Reg reg, uint32_t size_bytes, bool is_signed);
  void read_kernel(int32_t stack_offset, uint32_t size_bytes, Reg address, int32_t extra);
  void read_memory(int32_t stack_offset, uint32_t size_bytes, Reg address, int32_t extra,
                   bool is_user);
  void read_window();
  void load_argument(Reg dst, uint32_t index);
  void load_result(Reg dst);
  void raw_syscall(int32_t at);
  void raw_record(int32_t at, uint32_t room_bytes);
  void raw_header(int32_t at);

  // ---- kernel_memory.cc
  bool is_direct_read(const ssa::Inst& inst) const;
  bool is_for_direct_reads(ssa::ValueId id) const;
  void shape_number(Reg reg, const ssa::KernelAccess& access, bool is_bool);
  bool load_followed(ssa::ValueId address, bool is_user, bpf::Label absent);
  void kernel_memory(ssa::ValueId id);
  void kernel_read(ssa::ValueId id);
  void kernel_text(ssa::ValueId id);
  void kernel_address(ssa::ValueId id);

  // ---- actions.cc: what changes things outside of the script
  void action(ssa::ValueId id);
  void write_text(ssa::ValueId id);

  // ---- random.cc
  void random(ssa::ValueId id);

  // ---- tables.cc: keys and operations in the kernel's hash maps
  void table_operation(ssa::ValueId id);
  bool check_key(ssa::ValueId id);
  void build_key(ssa::ValueId id);
  void store_key_word(uint32_t offset, const Word& word);
  void load_key_address(Reg dst);
  void call_table(bpf::Helper helper, const Table& table);
  void table_get(ssa::ValueId id, const Table& table);
  void table_add(ssa::ValueId id, const Table& table);
  void table_set(ssa::ValueId id, const Table& table);
  void add_to_taken(ssa::ValueId id, const Table& table);
  void merge_into_value(ssa::ValueId id, const Table& table);
  void first_value(ssa::ValueId id, const Table& table);
  void count_entry(const Table& table, int32_t by);
  void make_from_stack(const Table& table, int32_t value_offset);
  void make_entry(const Table& table, bpf::Label done, const std::function<void()>& update);

  // ---- map_walks.cc: loops over tables in the kernel's hash maps
  void need_of_walk(const ssa::Inst& inst);
  void place_walks();
  void enter_walks();
  void load_list(Reg reg, const ssa::Inst& of);
  void begin_map_walk(ssa::ValueId id, const Table& table);
  void map_entry(ssa::ValueId id, const Table& table);
  void write_collector(const Table& table);

  // ---- whole_tables.cc
  void whole_table(ssa::ValueId id);
  void load_count(Reg reg, const Table& table);
  size_t writer_number(const Table& table) const;
  uint32_t full_row(ssa::ValueId id);

  // ---- areas.cc: tables in the program's own memory
  bool is_in_areas(const ssa::Inst& inst) const;
  void find_area_use();
  void enter_areas();
  const TablePlace& place_of(const Table& table) const;
  void direct_add(ssa::ValueId id, const Table& table);
  bool direct_entry(ssa::ValueId id, const Table& table, int32_t* offset);
  void per_cpu_add(ssa::ValueId id, const Table& table);
  void hash_key(ssa::ValueId id, const Table& table);
  void compare_key(ssa::ValueId id, const Table& table, int32_t at, bpf::Label other);
  void slot_index(const Table& table, bool is_own);
  int32_t slot_address(const Table& table, const TablePlace& place, bool is_own);
  void probe(const Table& table, ssa::ValueId id, int32_t at, bpf::Label insert, bpf::Label hit);
  void more_probes(const Table& table, ssa::ValueId id, int32_t at, bpf::Label insert,
                   bpf::Label hit, bpf::Label full);
  void load_area(const Table& table);
  void insert_slot(ssa::ValueId id, const Table& table, int32_t at, bpf::Label hit,
                   bpf::Label full);
  void merge_words(ssa::ValueId id, const Table& table, Reg entry, int32_t at);
  void store_identities(const Table& table, Reg entry, int32_t at);
  void reach(Reg address, int32_t* offset, int32_t room_bytes);
  Word key_word(ssa::ValueId id, const Table& table, uint32_t index);

  // ---- shared_tables.cc: tables in memory that all CPUs share
  void shared_operation(ssa::ValueId id, const Table& table);
  void shared_slot(ssa::ValueId id, const Table& table, bpf::Label found, bpf::Label absent,
                   std::optional<bpf::Label> full);
  void shared_search(const Table& table, bpf::Label found, bpf::Label absent);
  void shared_claim(const Table& table, bpf::Label found, bpf::Label full);
  void each_slot(const Table& table, bool is_behind, const std::function<void()>& look);
  void shared_get(ssa::ValueId id);
  void shared_change(ssa::ValueId id, const Table& table);
  void count_in_memory(const Table& table, int32_t by);
  void table_walk(ssa::ValueId id);
  void begin_memory_walk(ssa::ValueId id, const Table& table);
  void table_slot(ssa::ValueId id, const Table& table);
  void numbered_slot(const Table& table);
  void walk_value(ssa::ValueId id, const Table& table, bpf::Label absent);
  void walk_key(ssa::ValueId id, const Table& table);
  void memory_slot(const Table& table, bool is_own);
  void thread_operation(ssa::ValueId id, const Table& table);
  void thread_search(const Table& table, bpf::Label own, bpf::Label none);
  void thread_claim(const Table& table, bpf::Label claimed, bpf::Label full);
  void publish(ThreadState state);
  void thread_value(ssa::ValueId id, const Table& table, bool is_new);

  // ---- sample_updates.cc
  ssa::ValueId last_update(ssa::ValueId first) const;
  void begin_update(ssa::ValueId id);
  void end_update(ssa::ValueId id);
  bool is_before_areas(ssa::ValueId id) const;

  // ---- buckets.cc
  void look_up_first_byte(bpf::Label done);
  void look_up_length(bool log_linear);
  void power_bucket(ssa::ValueId id);
  void linear_bucket(ssa::ValueId id);
  void table_combine(ssa::ValueId id, const Table& table);
  void raise_value(ssa::ValueId id);
  void get_bytes(ssa::ValueId id, const Table& table);
  void store_bytes(const Table& table, const std::function<Word(uint32_t)>& word_of);
  static bool is_checked(const Table& table, uint32_t word);
  void load_value_address();
  void update_union(ssa::ValueId id, const Table& table);
  void check_words_of_key(const Table& table);

  // ---- stacks.cc
  static bool is_stack_operation(ssa::Op op);
  void need_of_stack(const ssa::Inst& of);
  void walk_stack(ssa::ValueId id);
  void load_owner();
  void clear_stack(const ssa::Inst& of, const Home& home);
  void copy_user_stack(int32_t at);
  void copy_return_probes(int32_t at);
  void announce_process();

  // ---- records.cc
  void emit_record(ssa::ValueId id);
  void wake_flag(bool always);
  void record_argument(const ssa::SiteArg& arg, ssa::ValueId value, int32_t at);
  bpf::Label count_and_resume(uint32_t row, bpf::Label resume, bool disarms = false);
  void bump_counter(uint32_t row);

  void fail(std::string text) {
    if (failure_.empty()) failure_ = std::move(text);
  }
  const ssa::Inst& inst(ssa::ValueId id) const { return function_[id]; }
  bool is_tracepoint() const { return job_.group->kind == schema::EventKind::Tracepoint; }
  bool gives_registers() const { return schema::gives_registers(job_.group->kind); }
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

  // Layout of the temporary stack of an operation on a kernel's map: the value of an update, the
  // generation of a DeltaHash table, then the key. (Others: the registers of a system call.)
  int32_t temp_value() const { return homes_.temp_offset; }
  int32_t temp_generation() const {
    return homes_.temp_offset + static_cast<int32_t>(needs_.widest_value_bytes);
  }
  int32_t temp_key() const { return temp_generation() + 8; }

  const Job& job_;
  const uint32_t program_;
  const ssa::Function& function_;
  const ssa::Module& module_;
  const bpf::KernelFacts& facts_;
  const Options& options_;
  UnitBuilder& unit_;
  bpf::Assembler& asm_;
  Frame& frame_;

  Needs needs_;
  Order order_;
  Loops loops_;
  Homes homes_;
  bool has_scratch_ = false;
  bool key_in_scratch_ = false;
  uint32_t value_offset_ = 0;  ///< in scratch: where a value is put together
  ArgumentWindow window_;      // the system call's arguments, kept on the stack ...
  bool has_window_ = false;    // ... when more than one place reads them
  int32_t window_offset_ = 0;
  bool window_is_read_ = false;          // on every way to the instruction being written
  std::map<uint32_t, Word> immediates_;  // by value: known without a home
  bool task_is_read_ = false;            // likewise
  std::vector<bool> is_far_;  // by value: a pointer of the task that the verifier may meet often
  Word name_;                 // where the id of the event's name is kept
  // Tables in areas: the address of this run's area lies in a fixed stack word, put there before
  // `area_before_`; or there is one operation alone, which finds it by itself.
  bool has_areas_ = false;
  bool keeps_area_ = false;
  ssa::ValueId area_before_;
  int32_t area_offset_ = 0;
  Word budget_, calls_;  // what is left of them: on the stack, or in scratch
  int32_t iterator_offset_ = 0;
  // Loops by bpf_loop. Where the program keeps the context and the scratch's address on its stack.
  int32_t context_offset_ = 0, scratch_offset_ = 0;
  int32_t start_temp_offset_ = 0;        // temp_offset of the program's part
  bpf::Label turns_;                     // the function
  std::vector<bpf::Label> turn_labels_;  // by loop: the end of a round

  std::vector<bpf::Label> block_labels_;
  bpf::Label out_;                      // behind the body: the next one, or the program's end
  bpf::Label body_out_;                 // out_, past what the handler itself has to give back
  ssa::BlockId block_;                  // the one being written
  std::vector<ssa::BlockId> block_of_;  // by value
  ssa::BlockId next_block_;             // follows the one being written
  ssa::ValueId last_update_;            // of the sample whose updates are being written
  bpf::Label update_done_;              // where a loss in the middle of them goes on
  std::vector<Cold> cold_;
  std::vector<std::pair<uint32_t, std::function<void()>>> rare_;  // line, writer of code
  std::map<uint32_t, bpf::Label> failures_;                       // by counter row
  std::map<uint32_t, bpf::Label> emptiers_;                       // by table: its function
  std::map<uint32_t, bpf::Label> collectors_;                     // likewise
  // The lists of keys of walks over hash maps: by walk, in bytes from the list memory's start; its
  // address lies in a fixed stack word.
  struct KeyList {
    uint32_t offset_bytes = 0;
    uint32_t size_bytes = 0;
  };
  std::map<int64_t, KeyList> lists_;
  uint32_t walk_bytes_ = 0;
  int32_t lists_offset_ = 0;
  std::string failure_;
};

}  // namespace ktap::backend

// The abstract interpreter behind lower_handler(): one object lowers one handler on one group.
// Split by matter:
//   lowerer.cc         functions, jumps, joins, the instruction switch
//   unions.cc          values of several types
//   lower_values.cc    constants, arithmetic, comparisons, truth
//   lower_tables.cc    tables
//   lower_shapes.cc    what their keys and values are made of
//   lower_variables.cc variables that handlers assign
//   lower_samples.cc   samples of aggregates
//   lower_totals.cc    what the kernel reads of them
//   lower_events.cc    what the event gives
//   lower_stacks.cc    stacks of calls
//   lower_typed.cc     kernel memory by its types
//   lower_calls.cc     inlining, built-in functions, output
//   lower_text.cc      strings that are made: joined, formatted, by the library
//   lower_library.cc   string and math functions
//   lower_loops.cc     heads and rounds of loops, counting loops, loops over tables
//   lower_locals.cc    variables of inlined code that functions made there capture
// Private to `lower`. Nothing is thrown: the first refusal sets stop_, and everything after it does
// nothing.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/printf_format.h"
#include "lower/abstract_value.h"
#include "lower/code_plan.h"
#include "lower/event_reads.h"
#include "lower/kernel_types.h"
#include "lower/loop_hints.h"
#include "lower/lower.h"
#include "ssa/function.h"

namespace ktap::lower {

/// Bytes of the longest string of the script so far; nothing: one has a NUL, and cannot be bytes.
std::optional<uint32_t> longest_name(const ssa::Module& module);

/// Strings of the kernel end at their first NUL.
inline bool has_nul(std::string_view text) { return text.find('\0') != std::string_view::npos; }
constexpr const char* kNoBytes = "a string of the script that has a NUL or is too long";

class Lowerer {
 public:
  Lowerer(const World& world, const ssa::EventGroup& group, const Options& options,
          uint32_t handler, std::string name, Linkage& linkage, LoopHints& hints);

  /// Computes the filter; goes on only where it holds.
  void run_filter(runtime::Value filter);
  /// The same as far as it has a kernel form and no part in what handlers change; goes on where the
  /// filter may hold. Stopped: not even that.
  void run_filter_prefix(runtime::Value filter);
  /// The handler's body, called with the event.
  void run_handler(const Handler& handler);
  /// All of the handler is to run in the kernel: it may read aggregates there.
  void read_samples_here() { reads_samples_ = true; }
  /// Ends what is still open with Return.
  void finish();
  bool stopped() const { return stop_.has_value(); }
  /// What was believed of the variables of some loop was wrong: all of it anew, with the hints that
  /// are there now.
  bool wants_restart() const { return hints_.has_grown(); }
  /// The function, or why there is none.
  Lowered result();

  // For the capture program, which is built by hand.
  void at(const bytecode::Place& place) { place_ = place; }
  ssa::ValueId emit(ssa::Inst inst);
  /// What was emitted reads a variable or a table that handlers change.
  bool reads_what_handlers_change() const;
  ssa::Inst& inst(ssa::ValueId id) { return function_[id]; }
  ssa::ValueId read_var(schema::BuiltinVar var);
  /// `is_word`: a boolean as a number.
  ssa::ValueId read_event_field(uint32_t field, bool is_word = false);
  /// Does it give bytes with NULs among them, which records alone take?
  bool is_of_bytes(uint32_t field) const {
    return event().fields[field].kind == schema::FieldKind::ByteArray;
  }
  ssa::SiteArg site_arg(ssa::ValueId id) const;
  /// A new site with the argument that -T asks for already in `operands`.
  ssa::Site new_site(ssa::SiteKind kind, std::vector<ssa::ValueId>& operands);
  void emit_site(ssa::Site site, std::vector<ssa::ValueId> operands);
  /// False where nothing runs any more (after exit(), a failure).
  bool reachable() const { return current_.valid(); }
  // Kernel memory (lower_typed.cc). Stopped after a mistake of the script.
  AbstractValue current_task();
  ssa::ValueId walk_stack(bool is_user, int64_t depth, int64_t skip);
  ssa::ValueId bytes_at(ssa::ValueId address, ssa::ValueId count, int64_t most);
  AbstractValue cast(const std::vector<AbstractValue>& args);
  AbstractValue typed_index(const AbstractValue& pointer, const AbstractValue& key);
  bool is_read_from_memory(const AbstractValue& value) const;
  void no_member(const AbstractValue& of, const AbstractValue& key);
  AbstractValue kernel_address(const AbstractValue& name);
  AbstractValue task_bytes(const AbstractValue& offset, const std::string& type);
  AbstractValue pointer_of(uint32_t field, ssa::ValueId address);
  AbstractValue not_null(AbstractValue address);
  /// A pointer as the number that it is, or nil.
  AbstractValue plain(const AbstractValue& value);
  ssa::ValueId const_int(int64_t value);

 private:
  using Kind = AbstractValue::Kind;

  /// An open block and what its registers hold there.
  struct Edge {
    ssa::BlockId block;
    std::vector<AbstractValue> values;
    size_t top = 0;
    std::vector<AbstractValue> locals = {};  ///< locals_ there; of ways within a frame alone
    std::vector<int> boxes = {};             ///< likewise
    bool is_back = false;                    ///< a further round of the loop that it leads to
    size_t target = 0;                       ///< the instruction that it leads to
    bool has_some = false;  ///< a return of a number of results that is not the same on all ways
  };
  /// A variable at a loop's head: a register, or a captured one by its number.
  struct LoopSlot {
    HintKey key;
    AbstractValue at_entry;
    LoopShape shape;
    ssa::ValueId phi;                ///< invalid: rounds do not change it, as far as is known
    std::vector<ssa::ValueId> phis;  ///< Union: of the tag, then of each type that is no nil
  };
  /// A loop whose head is made and whose rounds come back to it.
  struct OpenLoop {
    ssa::BlockId head;
    std::vector<LoopSlot> registers;
    std::vector<LoopSlot> locals;
    std::vector<int> boxes;
  };
  struct Frame {
    const bytecode::Function* function = nullptr;
    const CodePlan* plan = nullptr;
    std::vector<Upvalue> cells;
    std::vector<AbstractValue> registers;
    size_t top = 0;          ///< the open top of a call with any number of results
    uint32_t path = 0;       ///< of calls that led here; see LoopHints
    std::vector<int> boxes;  ///< by register: the variable it is, or -1
    std::map<uint32_t, std::vector<Edge>>
        pending;  ///< by rank of the instruction that they lead to
    std::vector<Edge> returns;
    std::map<size_t, OpenLoop> loops;   ///< by head
    std::map<size_t, uint32_t> visits;  ///< by head: how often it was entered from outside
    std::map<size_t, bool> unrolled;    ///< by head
    std::map<size_t, bool>
        exact_limits;  ///< by first register of a counting loop: its last value is met
  };
  /// Of a budget: what it says when that is used up.
  struct Guard {
    bool is_tail_call = false;
    std::vector<ssa::CodePlace> trace;
  };
  /// A condition: known now, or a Bool.
  struct Truth {
    bool known = false;
    bool value = false;
    ssa::ValueId id;
    static Truth of(bool v) { return {true, v, {}}; }
    static Truth of(ssa::ValueId v) { return {false, false, v}; }
  };

  // ---- lowerer.cc ----------------------------------------------------------------------------
  std::vector<AbstractValue> call_function(const AbstractValue& callee,
                                           std::vector<AbstractValue> args, bool is_tail_call);
  void interpret(Frame& frame);
  std::map<uint32_t, std::vector<Edge>>::iterator next_pending(Frame& frame);
  void step(Frame& frame, size_t pc);
  void step_loop(Frame& frame, bytecode::Insn insn, size_t pc);
  void step_move(Frame& frame, bytecode::Insn insn);
  void step_compute(Frame& frame, bytecode::Insn insn);
  void step_table(Frame& frame, bytecode::Insn insn);
  void step_test(Frame& frame, bytecode::Insn insn, size_t pc);
  void step_return(Frame& frame, bytecode::Insn insn);
  void go(Frame& frame, size_t pc, size_t target);
  void add_edge(Frame& frame, size_t pc, size_t target, Edge edge);
  void meet(Frame& frame, std::vector<Edge> edges);
  std::vector<AbstractValue> join_with_locals(std::vector<Edge> edges);
  std::vector<AbstractValue> join(std::vector<Edge> edges);
  AbstractValue join_values(const std::vector<Edge>& edges, size_t index, ssa::BlockId into);
  std::optional<AbstractValue> join_pointers(const std::vector<const AbstractValue*>& values,
                                             const std::vector<Edge>& edges, ssa::BlockId into);
  std::optional<AbstractValue> join_numbers(const std::vector<const AbstractValue*>& values,
                                            const std::vector<Edge>& edges, ssa::BlockId into);
  std::optional<AbstractValue> join_strings(const std::vector<const AbstractValue*>& values,
                                            const std::vector<Edge>& edges, ssa::BlockId into);
  std::optional<AbstractValue> join_stacks(const std::vector<const AbstractValue*>& values,
                                           const std::vector<Edge>& edges, ssa::BlockId into);
  std::optional<ssa::ValueId> as_joined(const AbstractValue& v, ssa::BlockId block,
                                        const ssa::Inst& shape);
  AbstractValue add_phi(ssa::BlockId into, ssa::Inst phi, std::vector<ssa::ValueId> operands);
  void replace(std::vector<AbstractValue>& registers, const AbstractValue& old,
               const AbstractValue& now);
  AbstractValue& reg(Frame& frame, size_t r);
  const CodePlan& plan_of(const bytecode::Function* function);
  const std::string& constant_text(const Frame& frame, size_t k) const;
  AbstractValue constant(const Frame& frame, size_t k) const;

  ssa::BlockId new_block();
  ssa::ValueId emit_in(ssa::BlockId block, ssa::Inst inst);
  void connect(ssa::BlockId from, ssa::BlockId to);
  /// Splits here: `yes` where `condition` holds, goes on in `no`, or the other way round.
  void branch(ssa::ValueId condition, ssa::BlockId yes, ssa::BlockId no);

  void refuse(std::string text);
  /// Refuses because of what `value` is: "arithmetic" + " on a string".
  void refuse_use(const std::string& what, const AbstractValue& value);
  std::string describe(const AbstractValue& value) const;

  // ---- unions.cc
  /// What meets: by tag, and of each edge; and the tag of each edge, -1 for that of a union there.
  struct Alternatives {
    std::map<int, std::vector<const AbstractValue*>> by_tag;
    std::vector<int> tags;
  };
  /// What a test has told of a value.
  enum class Found : uint8_t { True, False, Nil, NotNil };
  int tag_of(const AbstractValue& value) const;
  bool collect_alternatives(const std::vector<const AbstractValue*>& values, Alternatives& found);
  ssa::ValueId filler(const ssa::Inst& like, ssa::BlockId block);
  AbstractValue carry(const std::vector<const AbstractValue*>& values,
                      const std::vector<Edge>& edges, ssa::BlockId into);
  AbstractValue join_alternative(int tag, std::vector<const AbstractValue*> values,
                                 const std::vector<Edge>& edges, ssa::BlockId into);
  AbstractValue join_mixed(const std::vector<const AbstractValue*>& values,
                           const std::vector<Edge>& edges, ssa::BlockId into);
  AbstractValue for_each_type(const AbstractValue& value,
                              const std::function<AbstractValue(const AbstractValue&)>& what);
  std::optional<AbstractValue> by_type(
      const std::vector<AbstractValue>& values,
      const std::function<AbstractValue(const std::vector<AbstractValue>&)>& what,
      bool keeps_calls = false);
  std::optional<AbstractValue> narrowed(const AbstractValue& value, Found found);

  // ---- filter_prefix.cc
  /// Where lowering stood, to go back to.
  struct Mark {
    ssa::BlockId block;
    size_t insts = 0, blocks = 0, values = 0, left = 0;
  };
  Mark mark() const;
  bool may_stay(const Mark& mark) const;
  void leave(const Mark& mark);
  void step_of_prefix(Frame& frame, size_t pc);
  bool reads_what_handlers_change(const ssa::Inst& inst) const;
  // ---- lower_loops.cc ------------------------------------------------------------------------
  void arrive(Frame& frame, size_t pc, std::vector<Edge> edges);
  void enter_loop(Frame& frame, size_t pc);
  void next_round(OpenLoop& loop, Edge edge);
  AbstractValue open_slot(LoopSlot& slot, ssa::BlockId head);
  void close_slot(LoopSlot& slot, const AbstractValue& value, ssa::BlockId from);
  bool is_unchanged(const AbstractValue& value, const AbstractValue& at_entry) const;
  bool is_some_text(const AbstractValue& value) const;
  LoopShape shape_of(const AbstractValue& value) const;
  LoopShape shape_beside(const AbstractValue& value, const LoopShape& shape) const;
  void make_round_texts(const OpenLoop& loop, Edge& edge);
  ssa::ValueId as_shape(const AbstractValue& value, const LoopShape& shape, ssa::BlockId in);
  static std::optional<size_t> place_in_union(const AbstractValue& part);
  void learn(const LoopSlot& slot, const AbstractValue& value);
  AbstractValue with_texts_made(const AbstractValue& value, const LoopShape& shape);
  bool is_name(const AbstractValue& value) const;
  AbstractValue useless(LoopSlot& slot);
  AbstractValue open_union(LoopSlot& slot, ssa::BlockId head);
  std::vector<ssa::ValueId> as_union(const AbstractValue& value, const LoopShape& shape,
                                     ssa::BlockId in);
  void emit_guard(ssa::Op op, bool is_tail_call = false);
  void count_round(bool is_tail_call = false);
  void count_call();
  void settle_guards();
  void for_prep(Frame& frame, bytecode::Insn insn, size_t pc);
  void for_loop(Frame& frame, bytecode::Insn insn, size_t pc);
  bool for_operand(AbstractValue& value, const char* what);
  AbstractValue is_empty_range(const AbstractValue& first, const AbstractValue& last,
                               const AbstractValue& step);
  bool prepare_constant_loop(Frame& frame, size_t a, size_t head, bool* empty);
  Truth has_next(bool exact, const AbstractValue& now, const AbstractValue& last,
                 const AbstractValue& step);
  int open_walks(const Frame& frame, size_t below) const;
  void begin_walk(const Frame& frame, bytecode::Insn insn, int64_t id, AbstractValue& iterator);
  void iter_prep(Frame& frame, bytecode::Insn insn, size_t pc);
  void iter_next(Frame& frame, bytecode::Insn insn, size_t pc);
  void next_known_entry(Frame& frame, bytecode::Insn insn, size_t pc);
  void next_slot(Frame& frame, bytecode::Insn insn, size_t pc);
  ssa::ValueId is_nil_union(ssa::ValueId id);
  void put_entry(Frame& frame, bytecode::Insn insn, const AbstractValue& key,
                 const AbstractValue& value);
  bool fits_unrolled(const Frame& frame, size_t head, uint64_t rounds) const;

  // ---- lower_locals.cc -----------------------------------------------------------------------
  void make_closure(Frame& frame, bytecode::Insn insn);
  void open_boxes(Frame& frame);
  void close_boxes(Frame& frame, size_t first);
  bool is_referred(const Frame& frame, int local) const;
  AbstractValue read_upvalue(Frame& frame, size_t index);
  void write_upvalue(Frame& frame, size_t index, const AbstractValue& value);
  void update_upvalue(Frame& frame, size_t index, bytecode::UpdateOp op,
                      const AbstractValue& value);

  // ---- lower_values.cc -----------------------------------------------------------------------
  ssa::ValueId const_bool(bool value);
  ssa::ValueId const_str(const std::string& text);
  ssa::ValueId op2(ssa::Op op, ssa::Type type, ssa::ValueId a, ssa::ValueId b);
  ssa::ValueId op1(ssa::Op op, ssa::Type type, ssa::ValueId a);
  ssa::Type type_of(const AbstractValue& value) const;
  bool is_maybe(const AbstractValue& value) const;
  /// An Int of the value; fails at run time where it is nil. Refuses the rest.
  ssa::ValueId to_int(const AbstractValue& value, const std::string& what);
  ssa::ValueId unwrap(const AbstractValue& maybe);
  AbstractValue check_not_nil(const AbstractValue& value, const std::string& failure);
  /// The run-time error of two operands; "" where there is none.
  using ErrorText = std::function<std::string(runtime::Value, runtime::Value)>;
  std::optional<runtime::Value> typed_sample(const AbstractValue& value) const;
  void fail_by_types(const AbstractValue& a, const AbstractValue& b, const std::string& what,
                     const ErrorText& error_text);
  bool sure_operands(AbstractValue& a, AbstractValue& b, const std::string& what,
                     const ErrorText& error_text);
  AbstractValue unary(bool negation, const AbstractValue& operand);
  AbstractValue arithmetic(ssa::Op op, const AbstractValue& a, const AbstractValue& b);
  AbstractValue divide(ssa::Op op, const AbstractValue& a, const AbstractValue& b);
  Truth truth(const AbstractValue& value);
  ssa::ValueId truth_id(Truth truth);
  Truth negate(Truth truth);
  AbstractValue to_value(Truth truth);
  Truth equals(const AbstractValue& a, const AbstractValue& b);
  Truth equals_tuple(const AbstractValue& a, const AbstractValue& b, size_t from);
  Truth equals_maybe(const AbstractValue& maybe, const AbstractValue& other);
  Truth equals_rendered(const AbstractValue& a, const AbstractValue& b);
  bool is_text(const AbstractValue& value) const;
  Truth less_text(const AbstractValue& left, const AbstractValue& right, bool or_equal);
  Truth equals_string(const AbstractValue& a, const AbstractValue& b);
  Truth less(const AbstractValue& a, const AbstractValue& b, bool or_equal);
  Truth match(const AbstractValue& text, const AbstractValue& pattern);
  Truth match_glob(const AbstractValue& text, const std::string& glob);
  Truth match_name(const AbstractValue& text, const std::string& pattern);
  std::string match_error_text() const;
  void fail_when(ssa::ValueId condition, const std::string& text);
  void raise_when(ssa::ValueId condition, const AbstractValue& message);
  void fail(int64_t number);
  void fail_now(const std::string& text);
  std::vector<ssa::CodePlace> trace() const;
  int64_t failure(const std::string& text, std::vector<ssa::CodePlace> trace, bool is_told = false);

  // ---- lower_machine.cc: nothing where the call has no kernel form ------------------------------
  std::optional<AbstractValue> machine_call(bytecode::Builtin builtin,
                                            const std::vector<AbstractValue>& args);
  std::optional<AbstractValue> random(const AbstractValue& bound);

  // ---- lower_tables.cc -----------------------------------------------------------------------
  AbstractValue get_index(const AbstractValue& object, const AbstractValue& key);
  AbstractValue table_get(const AbstractValue& table, const AbstractValue& key);
  void table_set(const AbstractValue& object, const AbstractValue& key, const AbstractValue& value);
  void table_add(const AbstractValue& object, const AbstractValue& key, const AbstractValue& value);
  void table_update(const AbstractValue& object, const AbstractValue& key,
                    const AbstractValue& value, bytecode::UpdateOp op);
  void table_delete(const AbstractValue& object, const AbstractValue& key);
  /// The table's id with the key's parts as operands, when both have a kernel form.
  std::optional<int64_t> table_access(const AbstractValue& object, const AbstractValue& key,
                                      std::vector<ssa::ValueId>& operands);
  std::optional<int64_t> table_id(const AbstractValue& table);
  bool key_parts(const AbstractValue& key, std::vector<AbstractValue>& parts);
  bool sure_key(AbstractValue& key);
  std::optional<int64_t> whole_table(const AbstractValue& table, const char* what);
  bool is_never_filled(const runtime::Table& table) const;
  AbstractValue table_length(const AbstractValue& table);
  void clear_table(const AbstractValue& table);
  static bool never_a_key(const AbstractValue& value);
  void fail_index(const char* what, const AbstractValue& object, const AbstractValue& key);
  AbstractValue* nil_part(AbstractValue& key);
  ssa::BlockId enter_where_there(AbstractValue& maybe);
  void do_either(const AbstractValue& maybe, const std::function<void(const AbstractValue&)>& what);
  bool unify_key(int64_t table, const std::vector<AbstractValue>& parts);
  void learn_key(int64_t table);
  bool learn_present_keys(const AbstractValue& table, int64_t id);
  bool fits_present_keys(const AbstractValue& table, int64_t id);
  AbstractValue get_entry(int64_t id, std::vector<ssa::ValueId> operands);
  AbstractValue kept_pointer(const AbstractValue& pointer);
  AbstractValue zero_for_null(const AbstractValue& pointer);
  AbstractValue kept_value(const ssa::KeyPart& part, ssa::ValueId id);
  AbstractValue kept_union(const ssa::KeyPart& part, ssa::ValueId id, bool may_be_nil);
  std::optional<AbstractValue> updated_entry(const AbstractValue& object, const AbstractValue& key,
                                             bytecode::UpdateOp op);
  bool check_update(const AbstractValue& now, AbstractValue& operand, bytecode::UpdateOp op);
  void set_entry(int64_t id, std::vector<ssa::ValueId> operands, const AbstractValue& given);
  void combine_entry(ssa::Inst inst, int64_t id, const AbstractValue& value);
  static ssa::Op operation(bytecode::UpdateOp op);
  AbstractValue compute(bytecode::UpdateOp op, const AbstractValue& now,
                        const AbstractValue& value);

  // ---- lower_shapes.cc -----------------------------------------------------------------------
  std::optional<ssa::KeyPart> part_of(const AbstractValue& value) const;
  ssa::ValueId as_part(const AbstractValue& value, const ssa::KeyPart& part);
  std::optional<ssa::KeyPart> as_bytes(const AbstractValue& value, const ssa::KeyPart& part);
  Shape& shape_of(int64_t table);
  bool shape_of_is_empty(int64_t table) const;
  std::pair<const runtime::Object*, uint32_t> sample_table(int64_t table) const;
  bool unify_value(int64_t table, const AbstractValue& value);
  void widen_to_present_keys(const AbstractValue& table, int64_t id);
  std::optional<int64_t> add_table(runtime::Table* table, const std::string& name, uint8_t kinds,
                                   const Variable& variable);
  bool present_values(const runtime::Table& table, const char* what, const std::string& name,
                      std::optional<ssa::KeyPart>& value);
  std::optional<StoredEntries> stored_by_timers(const runtime::Table* table,
                                                const Variable& variable) const;
  bool begin_with_stored(const StoredEntries& stored, const char* what, ssa::TableInfo& info,
                         std::optional<ssa::KeyPart>& value);
  bool hold_stored(const StoredEntries& stored, const char* what, ssa::TableInfo& info);

  // ---- lower_variables.cc --------------------------------------------------------------------
  static std::optional<ssa::Op> bit_operation(bytecode::UpdateOp op);
  std::string global_name(uint32_t slot) const;
  runtime::Value present_value(const Variable& variable) const;
  uint8_t kinds_of(const Variable& variable) const;
  AbstractValue read_cell(const runtime::Cell* cell, const std::string& name);
  AbstractValue read_global(uint32_t slot);
  bool is_word(const Variable& variable) const;
  int64_t word_id(const Variable& variable, const std::string& name);
  std::optional<int64_t> variable_table(const Variable& variable, const std::string& name);
  AbstractValue get_variable(const Variable& variable, const std::string& name);
  void write_cell(const runtime::Cell* cell, const std::string& name, const AbstractValue& value);
  void write_global(uint32_t slot, const AbstractValue& value);
  void write_variable(const Variable& variable, const std::string& name,
                      const AbstractValue& value);
  void update_variable(const Variable& variable, const std::string& name, bytecode::UpdateOp op,
                       const AbstractValue& value);

  // ---- lower_text.cc -------------------------------------------------------------------------
  AbstractValue concat(const std::vector<AbstractValue>& operands);
  AbstractValue format(const std::vector<AbstractValue>& args);
  AbstractValue rendered(bytecode::Builtin builtin, std::vector<AbstractValue> args,
                         bool may_be_nil = false);
  AbstractValue tostring(const AbstractValue& value);
  AbstractValue settled(const AbstractValue& call);
  AbstractValue name_of_number(bytecode::Builtin builtin, const AbstractValue& number);
  AbstractValue name_of_enum(const std::vector<AbstractValue>& args);
  bool can_settle(const AbstractValue& call) const;
  std::vector<std::string> names_of(const AbstractValue& call) const;
  std::optional<uint32_t> name_bound(const AbstractValue& call) const;
  void fail_argument(const AbstractValue& value, const std::string& function, size_t number,
                     const char* takes);
  std::optional<AbstractValue> integer_argument(const AbstractValue& value,
                                                const std::string& function, size_t number);

  std::optional<uint32_t> text_bound(const AbstractValue& value) const;
  AbstractValue text_value(const AbstractValue& value);
  AbstractValue make_text(const AbstractValue& call);
  AbstractValue make_format(const AbstractValue& call);
  std::optional<uint32_t> piece_bound(const FormatPiece& piece, const AbstractValue& part) const;
  void make_piece(const FormatPiece& piece, const AbstractValue& part,
                  std::vector<AbstractValue>& texts);
  AbstractValue number_text(ssa::ValueId number, char conversion);
  void signed_with_zeros(ssa::ValueId number, int64_t width, std::vector<AbstractValue>& texts);
  AbstractValue padding(char fill, int64_t width, const AbstractValue& beside);
  std::string why_no_text(const AbstractValue& value) const;
  AbstractValue make_tostring(const AbstractValue& value);
  ssa::ValueId text_bytes(const AbstractValue& value);
  void make_texts(std::vector<Edge>& edges);

  // ---- lower_library.cc ----------------------------------------------------------------------
  std::optional<AbstractValue> call_library(bytecode::Builtin builtin,
                                            const std::vector<AbstractValue>& args);
  AbstractValue call_string(bytecode::Builtin builtin, const std::vector<AbstractValue>& args);
  AbstractValue call_math(bytecode::Builtin builtin, const std::vector<AbstractValue>& args);
  std::optional<AbstractValue> string_argument(const AbstractValue& value,
                                               const std::string& function, size_t number);
  ssa::ValueId from_start(const AbstractValue& position, ssa::ValueId length);
  AbstractValue slice(const AbstractValue& of, const AbstractValue& first,
                      const AbstractValue& last);
  AbstractValue byte_of(const AbstractValue& of, const AbstractValue& position);
  AbstractValue nil_where_zero(ssa::ValueId number);
  AbstractValue find(const std::vector<AbstractValue>& args);
  Truth begins_or_ends(const AbstractValue& of, const AbstractValue& part, bool ends);
  AbstractValue log2_of(const AbstractValue& number);
  std::optional<AbstractValue> number_of(const std::vector<AbstractValue>& args);
  std::optional<AbstractValue> characters(const std::vector<AbstractValue>& args);
  std::optional<AbstractValue> text_of_time(const std::vector<AbstractValue>& args);
  std::optional<AbstractValue> ip_address(bytecode::Builtin builtin, const AbstractValue& address);
  AbstractValue repeat(std::vector<AbstractValue> args);
  AbstractValue extreme(ssa::Op op, const AbstractValue& a, const AbstractValue& b);

  // ---- lower_actions.cc ----------------------------------------------------------------------
  std::optional<AbstractValue> call_action(bytecode::Builtin builtin,
                                           const std::vector<AbstractValue>& args);
  AbstractValue run_command(const AbstractValue& command);
  std::string why_no_override(const schema::Event& event) const;
  AbstractValue override_result(const AbstractValue& given);
  AbstractValue send_signal(const AbstractValue& given);
  AbstractValue write_user(const std::vector<AbstractValue>& args);
  ssa::ValueId write_number(ssa::ValueId at, ssa::ValueId number, int64_t bytes);
  AbstractValue write_text(ssa::ValueId at, const AbstractValue& text);

  // ---- lower_stacks.cc -----------------------------------------------------------------------
  std::optional<AbstractValue> call_stack(bytecode::Builtin builtin,
                                          const std::vector<AbstractValue>& args);
  bool leaves_stack_to_user_space(const std::vector<AbstractValue>& args);
  std::optional<int64_t> stack_argument(const std::vector<AbstractValue>& args, size_t number,
                                        const std::string& function, bool is_depth);
  runtime::Value sample_stack() const;
  std::optional<AbstractValue> symbol_name(bytecode::Builtin builtin,
                                           const std::vector<AbstractValue>& args);

  // ---- lower_samples.cc ----------------------------------------------------------------------
  /// object[key] <<< sample, or object <<< sample.
  void add_sample(const AbstractValue& object, std::optional<AbstractValue> key,
                  const AbstractValue& sample);
  std::optional<ssa::ValueId> sample_number(const AbstractValue& sample);
  ssa::ValueId bucket_of(const runtime::SampleHistogram& histogram, ssa::ValueId number);
  ssa::ValueId sample_word(runtime::SampleWord word, ssa::ValueId n);
  std::optional<size_t> samples_of(const AbstractValue& object);
  uint32_t add_sample_table(const AbstractValue& object, uint32_t number, ssa::TableInfo info);
  bool holds_samples_alone(const AbstractValue& table);

  // ---- lower_totals.cc -----------------------------------------------------------------------
  void add_to_totals(const AbstractValue& object, const std::optional<AbstractValue>& key,
                     ssa::ValueId sample);
  void raise_total(const AbstractValue& total, const AbstractValue& key, ssa::ValueId number);
  bool reads_cell(Frame& frame, size_t pc);
  std::optional<AbstractValue> read_samples(bytecode::Builtin builtin,
                                            const std::vector<AbstractValue>& args);
  AbstractValue read_samples_of(bytecode::Builtin builtin, const AbstractValue& object,
                                AbstractValue key);
  bool may_read_samples(const AbstractValue& object);
  AbstractValue total(const AbstractValue& object, runtime::SampleWord word,
                      const AbstractValue& key);
  AbstractValue sum_or_zero(const AbstractValue& object, runtime::SampleWord word,
                            const AbstractValue& key);
  AbstractValue bound(const AbstractValue& object, runtime::SampleWord word,
                      const AbstractValue& key);
  AbstractValue average(const AbstractValue& object, const AbstractValue& key);
  ssa::ValueId wide_quotient(ssa::ValueId high, ssa::ValueId low, ssa::ValueId count);

  // ---- lower_events.cc -----------------------------------------------------------------------
  const schema::Event& event() const { return *group_.events.front(); }
  AbstractValue event_var(schema::BuiltinVar var);
  AbstractValue event_field(const std::string& name, bool or_word);
  void warn_of_near_name(const std::string& word);
  AbstractValue event_member(const std::string& name);
  ssa::ValueId follow_fetch(uint32_t field, bool is_bool);
  AbstractValue event_read(const EventRead& read, const std::string& name);

  // ---- lower_kernel.cc -----------------------------------------------------------------------
  std::optional<AbstractValue> kernel_call(bytecode::Builtin builtin,
                                           const std::vector<AbstractValue>& args);
  AbstractValue in_iowait();
  ssa::ValueId preempt_count();
  ssa::ValueId in_interrupt();
  AbstractValue task_info(const std::vector<AbstractValue>& args);
  AbstractValue socket_address(const AbstractValue& socket, const char* member);

  // ---- lower_typed.cc ------------------------------------------------------------------------
  const schema::KernelTypes* kernel_types();
  const schema::KernelTypes* types_of(schema::CType type);
  bool is_task(const AbstractValue& pointer) const;
  void type_mistake(EventMistake mistake);
  AbstractValue moved(const AbstractValue& pointer, ssa::ValueId bytes);
  ssa::ValueId maybe_address(const AbstractValue& pointer, ssa::BlockId in);
  AbstractValue typed_value(const schema::KernelTypes& types, const AbstractValue& at,
                            const schema::CMember& member);
  ssa::ValueId read_base(const AbstractValue& place, int64_t& offset);
  AbstractValue read_number(const AbstractValue& place, const schema::CShape& shape,
                            const schema::CMember& member);
  AbstractValue read_text(const AbstractValue& place, uint32_t array_bytes, uint32_t limit_bytes);

  // ---- lower_calls.cc ------------------------------------------------------------------------
  std::vector<AbstractValue> call(const AbstractValue& callee, std::vector<AbstractValue> args,
                                  bool is_tail_call = false);
  AbstractValue call_builtin(bytecode::Builtin builtin, const std::vector<AbstractValue>& args);
  AbstractValue call_typed(bytecode::Builtin builtin, const std::vector<AbstractValue>& args);
  AbstractValue call_rest(bytecode::Builtin builtin, const std::vector<AbstractValue>& args);
  void output(bytecode::Builtin builtin, ssa::SiteKind kind,
              const std::vector<AbstractValue>& args);
  bool output_arg(const AbstractValue& arg, std::vector<OutputArg>& out, ssa::Site& site,
                  std::vector<ssa::ValueId>& operands);
  runtime::Value sample_of(const AbstractValue& value, bool as_nil);
  bool check_format(const std::vector<AbstractValue>& args);
  void histogram(const std::vector<AbstractValue>& args);
  void count_in_table(bytecode::Builtin builtin, const std::vector<AbstractValue>& args);
  bool draws(bytecode::Builtin builtin, const std::vector<AbstractValue>& args);
  void print_trace_clock();
  AbstractValue length(const AbstractValue& value);
  void delete_if_there(const AbstractValue& table, AbstractValue key);
  void delete_entry(const std::vector<AbstractValue>& args);
  AbstractValue assert_true(const std::vector<AbstractValue>& args);
  AbstractValue type_name_of(const AbstractValue& value);
  AbstractValue read_string(bytecode::Builtin builtin, const std::vector<AbstractValue>& args);
  AbstractValue read_bytes(const std::vector<AbstractValue>& args);
  void request_exit(const std::vector<AbstractValue>& args);
  void raise(const AbstractValue& message);

  const World& world_;
  const ssa::EventGroup& group_;
  const Options& options_;
  uint32_t handler_;
  Linkage& linkage_;
  ssa::Function function_;
  ssa::BlockId current_;  ///< invalid where nothing runs
  bytecode::Place place_;
  LoopHints& hints_;
  std::map<const bytecode::Function*, CodePlan> plans_;
  std::vector<const bytecode::Function*> calls_;  ///< being inlined
  std::vector<ssa::CodePlace> callers_;           ///< the calls in them, but for tail calls
  std::vector<Guard> guards_;          ///< by number in the instruction, until it is settled
  std::vector<AbstractValue> locals_;  ///< what captured variables of inlined code hold, by number
  std::vector<HintKey> local_names_;   ///< by number
  uint32_t path_ = 0;                  ///< of the frame that is being walked
  size_t call_pc_ = 0;                 ///< of the call that is being lowered
  const Frame* frame_ = nullptr;       ///< that is being walked
  int callers_walks_ = 0;              ///< over tables, under way in the frames below it
  bool has_rounds_ = false;            ///< some loop has a way back
  int64_t calls_made_ = 0;             ///< inlined, one after the other
  bool has_some_results_ = false;      ///< of the last call: how many differs from way to way
  size_t steps_ = 0;                   ///< instructions looked at
  std::vector<AbstractValue> formatted_;  ///< printf's arguments, checked
  bool is_prefix_ = false;                ///< run_filter_prefix()
  bool reads_samples_ = false;            ///< all of the handler is to run in the kernel
  std::vector<ssa::BlockId> left_;        ///< open blocks from where the event is sent
  std::optional<Refusal> stop_;
};

}  // namespace ktap::lower

// Freeze: which variables and tables handlers change, and with what. A flow analysis over the
// bytecode of every function that a handler can call: each register holds a set of possible tables
// and functions of the world and the kinds of plain values. Tables that handlers make themselves
// are lumped together; so are local variables that inner functions capture. Repeated until nothing
// new is found.
#include "lower/world.h"

#include <algorithm>
#include <map>
#include <utility>

#include "lower/code_walk.h"
#include "lower/facts.h"
#include "runtime/string.h"
#include "runtime/tuple.h"

namespace ktap::lower {

namespace {

using bytecode::Builtin;
using bytecode::Insn;
using bytecode::Op;
using runtime::Value;

constexpr uint8_t kInt = kInteger;
constexpr uint8_t kAnything = kInteger | kFloat | kNil | kBoolean | kString | kOther;

/// Of a built-in whose result is of the same types whatever it is called with.
uint8_t kinds_of_result(Builtin builtin) {
  switch (builtin) {
    case Builtin::Len:
    case Builtin::StringLen:
    case Builtin::MathFloor:
    case Builtin::Rand:
    case Builtin::NetPort:
    case Builtin::NumCpus:
    case Builtin::Kaddr:
    case Builtin::GettimeofdayNs:
    case Builtin::GettimeofdayUs:
    case Builtin::GettimeofdayMs:
    case Builtin::GettimeofdayS:
      return kInt;
    case Builtin::Tostring:
    case Builtin::Format:
    case Builtin::StringFormat:
    case Builtin::StringSub:
    case Builtin::StringUpper:
    case Builtin::StringLower:
    case Builtin::StringTrim:
    case Builtin::StringRep:
    case Builtin::StringChar:
    case Builtin::Arch:
    case Builtin::KernelV:
    case Builtin::NetIp:
    case Builtin::NetFormatIpAddr:
    case Builtin::Strftime:
    case Builtin::EventTostring:
    case Builtin::Type:
    case Builtin::Ksym:
    case Builtin::Usym:
      return kString;
    case Builtin::SyscallName:
    case Builtin::ErrnoName:
    case Builtin::SignalName:
    case Builtin::EnumName:
    case Builtin::UserString:
    case Builtin::KernelString:
    case Builtin::Buf:
      return kString | kNil;
    case Builtin::StringFind:
    case Builtin::StringByte:
    case Builtin::Sum:
    case Builtin::Min:
    case Builtin::Max:
    case Builtin::Avg:
    case Builtin::Stddev:
    case Builtin::Quantile:
    case Builtin::CurrTaskinfo:
    case Builtin::NetIpSockSaddr:
    case Builtin::NetIpSockDaddr:
      return kInt | kNil;
    case Builtin::StringStarts:
    case Builtin::StringEnds:
    case Builtin::InIowait:
      return kBoolean;
    case Builtin::Stack:
    case Builtin::Ustack:
      return kStack;
    default:
      return kAnything;
  }
}

using State = std::vector<Facts>;

/// A function with what its upvalues stand for.
struct Instance {
  const bytecode::Function* function = nullptr;
  std::vector<const runtime::Cell*> cells;  ///< null: a local variable of a handler
  std::vector<Facts> params;
  Facts first_result;
  Facts more_results;
  std::set<uint8_t> captured;  ///< registers that inner functions capture
  bool by_timer = false;       ///< a timer may run it
};

class Freezer {
 public:
  explicit Freezer(World& world) : world_(world) {}

  void add_handler(Value function, bool gets_event, bool is_timer) {
    Facts f = facts_of(function);
    Facts event;
    event.event = gets_event;
    if (!gets_event) event.kinds = kNil;
    for (size_t i : f.functions) {
      instances_[i].by_timer |= is_timer;
      for (Facts& param : instances_[i].params) param.merge(Facts::of(kNil));
      if (!instances_[i].params.empty()) instances_[i].params[0].merge(event);
    }
  }

  void run() {
    do {
      changed_ = false;
      // By index: instances grow while they are walked.
      for (size_t i = 0; i < instances_.size(); ++i) walk(i);
    } while (changed_);
  }

 private:
  void grow(Facts& node, const Facts& by) { changed_ |= node.merge(by); }

  Facts facts_of(Value value) {
    Facts f;
    switch (value.type) {
      case runtime::Type::Nil:
        f.kinds = kNil;
        break;
      case runtime::Type::Integer:
      case runtime::Type::SharedCell:
        f.kinds = kInt;
        break;
      case runtime::Type::Float:
        f.kinds = kFloat;
        break;
      case runtime::Type::Boolean:
        f.kinds = kBoolean;
        break;
      case runtime::Type::String:
        return Facts::of_text(value.string()->view());
      case runtime::Type::Stack:
        f.kinds = kStack;
        break;
      case runtime::Type::Pointer:
        return Facts::pointer();
      case runtime::Type::Tuple:
        return facts_of_tuple(*value.tuple());
      case runtime::Type::Event:
        f.event = true;
        break;
      case runtime::Type::Builtin:
        f.builtins.insert(value.builtin);
        break;
      case runtime::Type::Table:
        f.tables.insert(value.table());
        break;
      case runtime::Type::Function:
        f.functions.insert(instance_of(value.closure()));
        break;
      default:
        f.kinds = kOther;
        break;
    }
    return f;
  }

  Facts facts_of_tuple(const runtime::Tuple& tuple) {
    std::vector<Facts> parts;
    for (size_t i = 0; i < tuple.size(); ++i) parts.push_back(facts_of(tuple[i]));
    return Facts::of_tuple(parts);
  }

  size_t new_instance(const bytecode::Function* function, std::vector<const runtime::Cell*> cells) {
    Instance instance;
    instance.function = function;
    instance.cells = std::move(cells);
    instance.params.resize(function->param_count);
    for (const auto& child : function->children) {
      for (const auto& upvalue : child->upvalues) {
        if (upvalue.from_parent_register) instance.captured.insert(upvalue.index);
      }
    }
    instances_.push_back(std::move(instance));
    changed_ = true;
    return instances_.size() - 1;
  }

  size_t instance_of(const runtime::Closure* closure) {
    auto found = by_closure_.find(closure);
    if (found != by_closure_.end()) return found->second;
    const size_t id =
        new_instance(closure->function, {closure->upvalues.begin(), closure->upvalues.end()});
    by_closure_.emplace(closure, id);
    return id;
  }

  size_t inner_instance(size_t parent, uint16_t child) {
    auto found = by_site_.find({parent, child});
    if (found != by_site_.end()) return found->second;
    const bytecode::Function* function = instances_[parent].function->children[child].get();
    std::vector<const runtime::Cell*> cells;
    for (const auto& upvalue : function->upvalues) {
      cells.push_back(upvalue.from_parent_register ? nullptr
                                                   : instances_[parent].cells[upvalue.index]);
    }
    const size_t id = new_instance(function, std::move(cells));
    by_site_.emplace(std::make_pair(parent, child), id);
    return id;
  }

  // ---- tables and variables ------------------------------------------------------------------

  /// What reading one of these tables may give. `field` narrows what the world holds to one entry.
  Facts contents(const Facts& of, const std::string* field = nullptr) {
    Facts f;
    for (const runtime::Table* table : of.tables) {
      for (const auto& [key, value] : table->entries()) {
        if (field && !(key.type == runtime::Type::String && key.string()->view() == *field))
          continue;
        f.merge(facts_of(value));
      }
      f.merge(stored_[table]);
    }
    if (of.fresh) f.merge(fresh_contents_);
    return f;
  }

  /// True when `kinds` grew.
  static bool add(uint8_t& kinds, uint8_t more) {
    const uint8_t before = kinds;
    kinds |= more;
    return kinds != before;
  }

  /// The keys of one of these tables. Where they are no plain values, lowering refuses what is done
  /// with them.
  Facts keys(const Facts& of) {
    Facts f;
    if (of.tables.empty() || of.fresh) f.merge(Facts::of(kInt | kBoolean | kString));
    for (const runtime::Table* table : of.tables) {
      for (const auto& entry : table->entries()) f.merge(facts_of(entry.first));
      f.merge(stored_keys_[table]);
    }
    return f;
  }

  /// One part of a multi-key; -1: all of a key.
  static Facts key_part(const Facts& key, int part) {
    if (part < 0 || key.kinds != kOther || key.is_mixed) return key;
    const auto at = static_cast<size_t>(part);
    return at < key.parts.size() ? key.parts[at] : Facts();
  }

  void write(const Facts& into, const Facts& key, const Facts& value) {
    for (const runtime::Table* table : into.tables) {
      if ((value.value_kinds() & ~kNil) != 0) changed_ |= world_.stored_tables.insert(table).second;
    }
    put(into, key, value);
  }

  void add_sample(const Facts& into, const Facts& key) {
    for (const runtime::Table* table : into.tables) {
      changed_ |= world_.sampled_tables.insert(table).second;
    }
    put(into, key, Facts::of(kOther));
  }

  void put(const Facts& into, const Facts& key, const Facts& value) {
    for (const runtime::Table* table : into.tables) {
      changed_ |= world_.written_tables.insert(table).second;
      changed_ |= add(world_.table_kinds[table], value.value_kinds());
      grow(stored_[table], value);
      const bool is_own = is_key_of(key, table);
      if (!is_own) {
        Facts plain = key;
        plain.walked.clear();
        grow(stored_keys_[table], plain);
      }
      if (!instances_[current_].by_timer) continue;
      StoredEntries& entries = world_.timer_tables[table];
      changed_ |= entries.value.merge(value.stored());
      if (!is_own && (value.value_kinds() & ~kNil) != 0) note_key(entries, key);
    }
    if (into.fresh) grow(fresh_contents_, value);
  }

  /// The table has it: a loop goes through that very table.
  static bool is_key_of(const Facts& key, const runtime::Table* table) {
    if (key.kinds != kOther || key.parts.empty())
      return key.walked == std::set<std::pair<const runtime::Table*, int>>{{table, -1}};
    for (size_t i = 0; i < key.parts.size(); ++i) {
      if (key.parts[i].walked !=
          std::set<std::pair<const runtime::Table*, int>>{{table, static_cast<int>(i)}})
        return false;
    }
    return !key.is_mixed;
  }

  void note_key(StoredEntries& entries, const Facts& key) {
    std::vector<Stored> parts;
    for (const Facts& part : key.parts) parts.push_back(part.stored());
    if (parts.empty()) parts.push_back(key.stored());
    const bool differ = key.is_mixed || (!key.parts.empty() && key.kinds != kOther) ||
                        (entries.has_keys && entries.key.size() != parts.size());
    if (!entries.has_keys) entries.key.resize(parts.size());
    changed_ |= !std::exchange(entries.has_keys, true);
    if (differ) changed_ |= !std::exchange(entries.keys_differ, true);
    for (size_t i = 0; i < std::min(parts.size(), entries.key.size()); ++i)
      changed_ |= entries.key[i].merge(parts[i]);
  }

  void assign_cell(const runtime::Cell* cell, const Facts& value) {
    if (!cell) {
      grow(captured_contents_, value);
      return;
    }
    changed_ |= world_.assigned_cells.insert(cell).second;
    changed_ |= add(world_.cell_kinds[cell], value.value_kinds());
    if (instances_[current_].by_timer) changed_ |= world_.timer_cells[cell].merge(value.stored());
    grow(cell_stored_[cell], value);
  }

  Facts read_cell(const runtime::Cell* cell) {
    if (!cell) return captured_contents_;
    Facts f = facts_of(*cell->slot);
    f.merge(cell_stored_[cell]);
    return f;
  }

  void assign_global(uint32_t slot, const Facts& value) {
    changed_ |= world_.assigned_globals.insert(slot).second;
    changed_ |= add(world_.global_kinds[slot], value.value_kinds());
    if (instances_[current_].by_timer) changed_ |= world_.timer_globals[slot].merge(value.stored());
    grow(global_stored_[slot], value);
  }

  Facts read_global(uint32_t slot) {
    Facts f = slot < world_.globals->size() ? facts_of((*world_.globals)[slot]) : Facts::of(kNil);
    f.merge(global_stored_[slot]);
    return f;
  }

  static Facts arithmetic(const Facts& a, const Facts& b) {
    return Facts::of(static_cast<uint8_t>(kInt | ((a.kinds | b.kinds) & kFloat)));
  }

  static Facts updated(bytecode::UpdateOp op, const Facts& a, const Facts& b) {
    return op == bytecode::UpdateOp::Concat ? Facts::of(kString) : arithmetic(a, b);
  }

  // ---- one function --------------------------------------------------------------------------

  void walk(size_t id) {
    current_ = id;
    const bytecode::Function* function = instances_[id].function;
    std::map<size_t, State> at;  // states at the heads of straight runs of code
    std::vector<size_t> work{0};
    State entry(function->register_count);
    for (size_t i = 0; i < instances_[id].params.size() && i < entry.size(); ++i) {
      entry[i] = instances_[id].params[i];
    }
    at.emplace(0, std::move(entry));
    while (!work.empty()) {
      const size_t pc = work.back();
      work.pop_back();
      state_ = at[pc];
      step(function, pc);
      for (size_t next : successors(*function, pc)) {
        auto [place, is_new] = at.try_emplace(next, state_);
        bool grew = is_new;
        if (!is_new) {
          for (size_t r = 0; r < state_.size(); ++r) grew |= place->second[r].merge(state_[r]);
        }
        if (grew) work.push_back(next);
      }
    }
  }

  Facts get(size_t r) const {
    if (r >= state_.size()) return Facts::of(kNil);
    Facts f = state_[r];
    if (instances_[current_].captured.count(static_cast<uint8_t>(r)) != 0)
      f.merge(captured_contents_);
    return f;
  }

  void set(size_t r, const Facts& value) {
    if (r >= state_.size()) return;
    state_[r] = value;
    if (instances_[current_].captured.count(static_cast<uint8_t>(r)) != 0)
      grow(captured_contents_, value);
  }

  Facts field_of(const Facts& object, const std::string& name) {
    Facts f = contents(object, &name);
    if (!object.tables.empty() || object.fresh) f.merge(Facts::of(kNil));
    if (object.typed) f.merge(Facts::in_memory());
    if (!object.event) return f;
    if (name == "tostring") {
      f.builtins.insert(static_cast<uint16_t>(Builtin::EventTostring));
    } else {
      f.merge(name == "name"          ? Facts::of(kString)
              : name == "sc_is_enter" ? Facts::of(kBoolean)
                                      : Facts::field());
    }
    return f;
  }

  void step(const bytecode::Function* function, size_t pc) {
    const Insn insn = function->code[pc];
    const size_t a = insn.a();
    const size_t b = insn.b();
    const size_t c = insn.c();
    switch (insn.op()) {
      case Op::LoadNil:
        for (size_t r = a; r <= a + b; ++r) set(r, Facts::of(kNil));
        break;
      case Op::LoadBuiltin: {
        Facts f;
        f.builtins.insert(insn.d());
        set(a, f);
        break;
      }
      case Op::Move:
        set(a, get(b));
        break;
      case Op::GetIndex: {
        Facts f = contents(get(b));
        f.merge(Facts::of(kNil));
        if (get(b).event) f.merge(Facts::field());
        if (get(b).typed) f.merge(Facts::in_memory());
        set(a, f);
        break;
      }
      case Op::GetField:
        set(a, field_of(get(b), std::get<std::string>(function->constants[c])));
        break;
      case Op::SetIndex:
        write(get(a), get(b), get(c));
        break;
      case Op::SetField:
        write(get(a), Facts::of_constant(function->constants[b]), get(c));
        break;
      case Op::UpdateIndex:
        write(get(a), get(b),
              updated(static_cast<bytecode::UpdateOp>(c), contents(get(a)), get(b + 1)));
        break;
      case Op::SetList:
        for (size_t r = a + 1; b == 0 ? r < state_.size() : r <= a + b; ++r)
          write(get(a), Facts::of(kInt), get(r));
        break;
      case Op::AggAdd:
        add_sample(get(a), get(b));
        break;
      case Op::NewTable: {
        Facts f;
        f.fresh = true;
        set(a, f);
        break;
      }
      case Op::Closure: {
        Facts f;
        f.functions.insert(inner_instance(current_, insn.d()));
        set(a, f);
        break;
      }
      case Op::Call:
      case Op::TailCall:
        call(insn);
        break;
      case Op::Return:
        leave(a, b);
        break;
      default:
        if (!step_variable(insn) && !step_loop(insn)) step_plain(*function, insn);
        break;
    }
  }

  /// Globals and upvalues.
  bool step_variable(Insn insn) {
    const size_t a = insn.a();
    const size_t b = insn.b();
    const auto update = static_cast<bytecode::UpdateOp>(insn.c());
    switch (insn.op()) {
      case Op::GetGlobal:
        set(a, read_global(insn.d()));
        return true;
      case Op::SetGlobal:
        assign_global(insn.d(), get(a));
        return true;
      case Op::UpdateGlobal:
        assign_global(insn.a(), updated(update, read_global(insn.a()), get(b)));
        return true;
      case Op::GetUpval:
        set(a, read_cell(instances_[current_].cells[b]));
        return true;
      case Op::SetUpval:
        assign_cell(instances_[current_].cells[b], get(a));
        return true;
      case Op::UpdateUpval: {
        const runtime::Cell* cell = instances_[current_].cells[a];
        assign_cell(cell, updated(update, read_cell(cell), get(b)));
        return true;
      }
      default:
        return false;
    }
  }

  bool step_loop(Insn insn) {
    const size_t a = insn.a();
    switch (insn.op()) {
      case Op::ForPrep:
      case Op::ForLoop:
        set(a + 3, arithmetic(get(a), get(a + 2)));
        return true;
      case Op::IterPrep:
        call_compare(get(a), get(a + 1));
        return true;
      case Op::IterNext: {
        next_entry(a, insn.b());
        return true;
      }
      default:
        return false;
    }
  }

  /// The key, or its parts, and the value where a loop has variables for more than one.
  void next_entry(size_t a, size_t count) {
    const Facts walked = get(a);
    const Facts key = keys(walked);
    const size_t parts = count < 2 ? 1 : count - 1;
    for (size_t i = 0; i < parts; ++i) {
      const int part = parts == 1 ? -1 : static_cast<int>(i);
      Facts f = key_part(key, part);
      f.walked.clear();
      if (!walked.fresh) {
        for (const runtime::Table* table : walked.tables) f.walked.emplace(table, part);
      }
      set(a + 2 + i, f);
    }
    if (count >= 2) set(a + 1 + count, contents(walked));
  }

  /// Results that are no tables and no functions.
  void step_plain(const bytecode::Function& function, Insn insn) {
    const size_t a = insn.a();
    switch (insn.op()) {
      case Op::LoadK:
        set(a, Facts::of_constant(function.constants[insn.d()]));
        break;
      case Op::Add:
      case Op::Sub:
      case Op::Mul:
      case Op::Div:
      case Op::Mod:
        set(a, arithmetic(get(insn.b()), get(insn.c())));
        break;
      case Op::AddK:
      case Op::SubK:
      case Op::MulK:
        set(a, arithmetic(get(insn.b()), Facts::of_constant(function.constants[insn.c()])));
        break;
      case Op::Neg:
        set(a, arithmetic(get(insn.b()), Facts()));
        break;
      case Op::LoadInt:
      case Op::BitAnd:
      case Op::BitOr:
      case Op::BitXor:
      case Op::Shl:
      case Op::Shr:
      case Op::BitNot:
        set(a, Facts::of(kInt));
        break;
      case Op::EventField:
        set(a, Facts::field());
        break;
      case Op::LoadBool:
      case Op::Not:
      case Op::Match:
        set(a, Facts::of(kBoolean));
        break;
      case Op::Concat:
        set(a, Facts::of(kString));
        break;
      case Op::EventWord:
        set(a, Facts::of(kInt | kString));
        break;
      case Op::Tuple:
        set(a, Facts::of_tuple({state_.begin() + insn.b(), state_.begin() + insn.b() + insn.c()}));
        break;
      case Op::EventVar:
        set(a, Facts::of_variable(static_cast<schema::BuiltinVar>(insn.d())));
        break;
      default:
        break;
    }
  }

  void call_compare(const Facts& table, const Facts& compare) {
    Facts given = contents(table);
    given.merge(Facts::of(kAnything));
    for (size_t i : compare.functions) {
      enter(i);
      for (Facts& param : instances_[i].params) grow(param, given);
    }
  }

  /// Who calls it may be a timer.
  void enter(size_t instance) {
    if (instances_[current_].by_timer)
      changed_ |= !std::exchange(instances_[instance].by_timer, true);
  }

  void call(Insn insn) {
    const size_t a = insn.a();
    const Facts callee = get(a);
    std::vector<Facts> args;
    const size_t end = insn.b() == 0 ? state_.size() : a + insn.b();
    for (size_t r = a + 1; r < end; ++r) args.push_back(get(r));
    Facts first;
    Facts more = Facts::of(kNil);
    for (size_t i : callee.functions) {
      enter(i);
      for (size_t p = 0; p < instances_[i].params.size(); ++p) {
        grow(instances_[i].params[p], p < args.size() ? args[p] : Facts::of(kNil));
      }
      first.merge(instances_[i].first_result);
      more.merge(instances_[i].more_results);
    }
    for (uint16_t builtin : callee.builtins)
      first.merge(call_builtin(static_cast<Builtin>(builtin), args));
    if (insn.op() == Op::TailCall) {
      grow(instances_[current_].first_result, first);
      grow(instances_[current_].more_results, more);
      return;
    }
    const size_t last = insn.c() == 0 ? state_.size() : a + insn.c() - 1;
    for (size_t r = a; r < last; ++r) set(r, r == a ? first : more);
  }

  /// Effects on tables, and the kinds of the result.
  Facts call_builtin(Builtin builtin, const std::vector<Facts>& args) {
    switch (builtin) {
      case Builtin::Delete:
        if (!args.empty()) write(args[0], Facts(), Facts::of(kNil));
        return Facts::of(kNil);
      case Builtin::Count:
      case Builtin::InplaceInc:
      case Builtin::TableCount:
        if (args.size() >= 2) {
          write(args[0], args[1],
                arithmetic(contents(args[0]), args.size() > 2 ? args[2] : Facts()));
        }
        return Facts::of(kInt | kNil);
      case Builtin::TableInsert:
      case Builtin::TableRemove:
      case Builtin::TableSort:
        return list_builtin(builtin, args);
      case Builtin::TableNew:
      case Builtin::Ptable:
      case Builtin::StringSplit: {
        Facts f;
        f.fresh = true;
        return f;
      }
      case Builtin::MathLog2:
      case Builtin::MathAbs:
      case Builtin::MathMin:
      case Builtin::MathMax: {
        Facts f = Facts::of(kInt);
        for (const Facts& arg : args) f = arithmetic(f, arg);
        return f;
      }
      case Builtin::Tonumber: {
        // Text may be that of a float.
        const bool is_text = !args.empty() && (args[0].value_kinds() & (kString | kFloat)) != 0;
        const bool has_base = args.size() > 1 && (args[1].value_kinds() & kNil) == 0;
        return Facts::of(kInt | kNil | (is_text && !has_base ? kFloat : 0));
      }
      case Builtin::Assert: {
        Facts f = Facts::of(kNil);
        for (const Facts& arg : args) f.merge(arg);
        return f;
      }
      default:
        return builtin == Builtin::Cast ? Facts::pointer() : Facts::of(kinds_of_result(builtin));
    }
  }

  /// What changes a list moves its items about, and nil may come in.
  Facts list_builtin(Builtin builtin, const std::vector<Facts>& args) {
    if (args.empty()) return Facts::of(kNil);
    Facts items = contents(args[0]);
    items.merge(Facts::of(kNil));
    if (builtin == Builtin::TableSort && args.size() > 1) {
      for (size_t i : args[1].functions) {
        enter(i);
        for (Facts& param : instances_[i].params) grow(param, items);
      }
    }
    if (builtin == Builtin::TableInsert) items.merge(args.back());
    write(args[0], Facts::of(kInt), items);
    return builtin == Builtin::TableRemove ? items : Facts::of(kNil);
  }

  void leave(size_t a, size_t b) {
    grow(instances_[current_].first_result, b == 1 ? Facts::of(kNil) : get(a));
    Facts more = Facts::of(kNil);
    const size_t end = b == 0 ? state_.size() : a + b - 1;
    for (size_t r = a + 1; r < end; ++r) more.merge(get(r));
    grow(instances_[current_].more_results, more);
  }

  World& world_;
  std::vector<Instance> instances_;
  std::map<const runtime::Closure*, size_t> by_closure_;
  std::map<std::pair<size_t, uint16_t>, size_t> by_site_;
  std::map<const runtime::Table*, Facts> stored_;
  std::map<const runtime::Table*, Facts> stored_keys_;
  std::map<const runtime::Cell*, Facts> cell_stored_;
  std::map<uint32_t, Facts> global_stored_;
  Facts fresh_contents_;
  Facts captured_contents_;
  bool changed_ = false;
  size_t current_ = 0;
  State state_;
};

}  // namespace

World freeze(const std::vector<Handler>& handlers, const std::vector<runtime::Value>& globals,
             const std::vector<std::string>* global_names) {
  World world;
  world.globals = &globals;
  world.global_names = global_names;
  Freezer freezer(world);
  for (const Handler& handler : handlers) {
    if (handler.at_end) continue;
    freezer.add_handler(handler.function, handler.is_event, !handler.is_event);
    freezer.add_handler(handler.filter, false, false);
  }
  freezer.run();
  return world;
}

}  // namespace ktap::lower

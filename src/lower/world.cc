// Freeze: which variables and tables handlers change, and with what. A flow analysis over the
// bytecode of every function that a handler can call: each register holds a set of possible tables
// and functions of the world and the kinds of plain values. Tables that handlers make themselves
// are lumped together; so are local variables that inner functions capture. Repeated until nothing
// new is found.
#include "lower/world.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "lower/code_walk.h"
#include "runtime/string.h"
#include "schema/builtin_vars.h"

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
      return kInt | kNil;
    case Builtin::StringStarts:
    case Builtin::StringEnds:
      return kBoolean;
    default:
      return kAnything;
  }
}

/// What a register, variable or table entry may hold.
struct Facts {
  uint8_t kinds = 0;
  bool event = false;
  bool fresh = false;  ///< a table made by a handler
  bool typed = false;  ///< a kernel pointer, or what lies there: an integer, as far as is known
  std::set<const runtime::Table*> tables;
  std::set<size_t> functions;  ///< instances
  std::set<uint16_t> builtins;

  static Facts of(uint8_t kinds) {
    Facts f;
    f.kinds = kinds;
    return f;
  }
  /// True when this grew.
  bool merge(const Facts& other) {
    const auto before = std::make_tuple(kinds, event, fresh, typed, tables.size(), functions.size(),
                                        builtins.size());
    kinds |= other.kinds;
    event |= other.event;
    fresh |= other.fresh;
    typed |= other.typed;
    tables.insert(other.tables.begin(), other.tables.end());
    functions.insert(other.functions.begin(), other.functions.end());
    builtins.insert(other.builtins.begin(), other.builtins.end());
    return before != std::make_tuple(kinds, event, fresh, typed, tables.size(), functions.size(),
                                     builtins.size());
  }
  /// As a set of ValueKind.
  uint8_t value_kinds() const {
    const bool is_plain =
        !event && !fresh && tables.empty() && functions.empty() && builtins.empty();
    return is_plain ? kinds : static_cast<uint8_t>(kinds | kOther);
  }
};

using State = std::vector<Facts>;

/// A function with what its upvalues stand for.
struct Instance {
  const bytecode::Function* function = nullptr;
  std::vector<const runtime::Cell*> cells;  ///< null: a local variable of a handler
  std::vector<Facts> params;
  Facts first_result;
  Facts more_results;
  std::set<uint8_t> captured;  ///< registers that inner functions capture
};

class Freezer {
 public:
  explicit Freezer(World& world) : world_(world) {}

  void add_handler(Value function, bool gets_event) {
    Facts f = facts_of(function);
    Facts event;
    event.event = gets_event;
    if (!gets_event) event.kinds = kNil;
    for (size_t i : f.functions) {
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
        f.kinds = kString;
        break;
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

  void write(const Facts& into, const Facts& value) {
    for (const runtime::Table* table : into.tables) {
      if ((value.value_kinds() & ~kNil) != 0) changed_ |= world_.stored_tables.insert(table).second;
    }
    put(into, value);
  }

  void add_sample(const Facts& into) {
    for (const runtime::Table* table : into.tables) {
      changed_ |= world_.sampled_tables.insert(table).second;
    }
    put(into, Facts::of(kOther));
  }

  void put(const Facts& into, const Facts& value) {
    for (const runtime::Table* table : into.tables) {
      changed_ |= world_.written_tables.insert(table).second;
      changed_ |= add(world_.table_kinds[table], value.value_kinds());
      grow(stored_[table], value);
    }
    if (into.fresh) grow(fresh_contents_, value);
  }

  void assign_cell(const runtime::Cell* cell, const Facts& value) {
    if (!cell) {
      grow(captured_contents_, value);
      return;
    }
    changed_ |= world_.assigned_cells.insert(cell).second;
    changed_ |= add(world_.cell_kinds[cell], value.value_kinds());
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

  static Facts facts_of_constant(const bytecode::Constant& constant) {
    if (std::holds_alternative<std::monostate>(constant)) return Facts::of(kNil);
    if (std::holds_alternative<int64_t>(constant)) return Facts::of(kInt);
    if (std::holds_alternative<double>(constant)) return Facts::of(kFloat);
    return Facts::of(std::holds_alternative<bool>(constant) ? kBoolean : kString);
  }

  static Facts pointer() {
    Facts f = Facts::of(kOther);
    f.typed = true;
    return f;
  }
  /// What is looked up in kernel memory.
  static Facts in_memory() {
    Facts f = Facts::of(kInt | kNil);
    f.typed = true;
    return f;
  }

  static Facts facts_of_var(schema::BuiltinVar var) {
    Facts f;
    switch (var) {
      case schema::BuiltinVar::EventObject:
        f.event = true;
        return f;
      case schema::BuiltinVar::Curtask:
        return pointer();
      case schema::BuiltinVar::Execname:
      case schema::BuiltinVar::Probename:
      case schema::BuiltinVar::Argstr:
        return Facts::of(kString);
      default:
        return Facts::of(kInt);
    }
  }

  Facts field_of(const Facts& object, const std::string& name) {
    Facts f = contents(object, &name);
    if (!object.tables.empty() || object.fresh) f.merge(Facts::of(kNil));
    if (object.typed) f.merge(in_memory());
    if (!object.event) return f;
    if (name == "tostring") {
      f.builtins.insert(static_cast<uint16_t>(Builtin::EventTostring));
    } else {
      f.merge(Facts::of(name == "name"          ? uint8_t{kString}
                        : name == "sc_is_enter" ? uint8_t{kBoolean}
                                                : kInt));
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
        if (get(b).event) f.merge(Facts::of(kInt));
        if (get(b).typed) f.merge(in_memory());
        set(a, f);
        break;
      }
      case Op::GetField:
        set(a, field_of(get(b), std::get<std::string>(function->constants[c])));
        break;
      case Op::SetIndex:
      case Op::SetField:
        write(get(a), get(c));
        break;
      case Op::UpdateIndex:
        write(get(a), updated(static_cast<bytecode::UpdateOp>(c), contents(get(a)), get(b + 1)));
        break;
      case Op::SetList:
        for (size_t r = a + 1; b == 0 ? r < state_.size() : r <= a + b; ++r) write(get(a), get(r));
        break;
      case Op::AggAdd:
        add_sample(get(a));
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
        const size_t count = insn.b();
        // Other keys, floats and parts that are missing, lowering refuses where it meets them.
        for (size_t r = a + 2; r <= a + 1 + count; ++r)
          set(r, Facts::of(kInt | kBoolean | kString));
        if (count >= 2) set(a + 1 + count, contents(get(a)));
        return true;
      }
      default:
        return false;
    }
  }

  /// Results that are no tables and no functions.
  void step_plain(const bytecode::Function& function, Insn insn) {
    const size_t a = insn.a();
    switch (insn.op()) {
      case Op::LoadK:
        set(a, facts_of_constant(function.constants[insn.d()]));
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
        set(a, arithmetic(get(insn.b()), facts_of_constant(function.constants[insn.c()])));
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
      case Op::EventField:
        set(a, Facts::of(kInt));
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
        set(a, Facts::of(kOther));
        break;
      case Op::EventVar:
        set(a, facts_of_var(static_cast<schema::BuiltinVar>(insn.d())));
        break;
      default:
        break;
    }
  }

  void call_compare(const Facts& table, const Facts& compare) {
    Facts given = contents(table);
    given.merge(Facts::of(kAnything));
    for (size_t i : compare.functions) {
      for (Facts& param : instances_[i].params) grow(param, given);
    }
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
        if (!args.empty()) write(args[0], Facts::of(kNil));
        return Facts::of(kNil);
      case Builtin::Count:
      case Builtin::InplaceInc:
      case Builtin::TableCount:
        if (args.size() >= 2) {
          write(args[0], arithmetic(contents(args[0]), args.size() > 2 ? args[2] : Facts()));
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
        return builtin == Builtin::Cast ? pointer() : Facts::of(kinds_of_result(builtin));
    }
  }

  /// What changes a list moves its items about, and nil may come in.
  Facts list_builtin(Builtin builtin, const std::vector<Facts>& args) {
    if (args.empty()) return Facts::of(kNil);
    Facts items = contents(args[0]);
    items.merge(Facts::of(kNil));
    if (builtin == Builtin::TableSort && args.size() > 1) {
      for (size_t i : args[1].functions) {
        for (Facts& param : instances_[i].params) grow(param, items);
      }
    }
    if (builtin == Builtin::TableInsert) items.merge(args.back());
    write(args[0], items);
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
  std::map<const runtime::Cell*, Facts> cell_stored_;
  std::map<uint32_t, Facts> global_stored_;
  Facts fresh_contents_;
  Facts captured_contents_;
  bool changed_ = false;
  size_t current_ = 0;
  State state_;
};

/// Follows values to functions, through closures, tables and the variables that code names.
class Reacher {
 public:
  explicit Reacher(const World& world) : world_(world) {}

  void value(Value value) {
    if (value.type == runtime::Type::Function) {
      if (!seen_.insert(value.object).second) return;
      code(value.closure()->function);
      for (const runtime::Cell* cell : value.closure()->upvalues) this->value(*cell->slot);
    } else if (value.type == runtime::Type::Table) {
      if (!seen_.insert(value.object).second) return;
      for (const auto& entry : value.table()->entries()) this->value(entry.second);
    } else if (value.type == runtime::Type::Builtin) {
      builtins.insert(static_cast<bytecode::Builtin>(value.builtin));
    }
  }

  std::vector<const bytecode::Function*> found;
  std::set<bytecode::Builtin> builtins;

 private:
  void code(const bytecode::Function* function) {
    if (std::find(found.begin(), found.end(), function) != found.end()) return;
    found.push_back(function);
    for (const auto& child : function->children) code(child.get());
    for (Insn insn : function->code) {
      if (insn.op() == Op::GetGlobal && insn.d() < world_.globals->size())
        value((*world_.globals)[insn.d()]);
    }
  }

  const World& world_;
  std::set<const runtime::Object*> seen_;
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
    freezer.add_handler(handler.function, handler.is_event);
    freezer.add_handler(handler.filter, false);
  }
  freezer.run();
  return world;
}

std::vector<const bytecode::Function*> reachable_functions(Value function, const World& world) {
  Reacher reacher(world);
  reacher.value(function);
  return std::move(reacher.found);
}

std::set<bytecode::Builtin> kept_builtins(Value function, const World& world) {
  Reacher reacher(world);
  reacher.value(function);
  return std::move(reacher.builtins);
}

}  // namespace ktap::lower

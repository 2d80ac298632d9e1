// Collecting event names from bytecode; see event_names.h. For user_string(), kernel_string() and
// kernel memory: which register holds which name, as far as all ways to a place agree.
#include "lower/event_names.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "base/limits.h"
#include "base/user_stack.h"
#include "lower/code_walk.h"
#include "runtime/kernel_pointer.h"
#include "runtime/string.h"
#include "schema/library_reads.h"

namespace ktap::lower {

namespace {

using bytecode::Insn;
using bytecode::Op;

struct Var {
  schema::BuiltinVar var;
  friend bool operator==(const Var&, const Var&) = default;
};
struct Field {
  std::string name;
  friend bool operator==(const Field&, const Field&) = default;
};
struct Member {
  std::string name;
  friend bool operator==(const Member&, const Member&) = default;
};
struct StringFunction {
  bytecode::Builtin builtin;
  friend bool operator==(const StringFunction&, const StringFunction&) = default;
};
struct Object {
  friend bool operator==(const Object&, const Object&) = default;
};
struct Integer {
  int64_t value;
  friend bool operator==(const Integer&, const Integer&) = default;
};
struct Text {
  std::string text;
  friend bool operator==(const Text&, const Text&) = default;
};
struct Symbol {
  std::string name;
  friend bool operator==(const Symbol&, const Symbol&) = default;
};
struct Read {
  int number;  // of EventNames::kernel_reads
  friend bool operator==(const Read&, const Read&) = default;
};
using Known = std::variant<Var, Field, Member, StringFunction, Object, Integer, Text, Symbol, Read>;

bool is_stack_function(bytecode::Builtin builtin) {
  switch (builtin) {
    case bytecode::Builtin::Stack:
    case bytecode::Builtin::Ustack:
    case bytecode::Builtin::Backtrace:
    case bytecode::Builtin::PrintBacktrace:
    case bytecode::Builtin::KdebugDumpstack:
      return true;
    default:
      return false;
  }
}

uint32_t most_frames(bytecode::Builtin builtin) {
  return limits::kStackFrames + (builtin == bytecode::Builtin::Ustack ? 0 : limits::kStackSkip);
}

/// A call of a stack function that asks for so many frames.
void note_stack(EventNames& names, bytecode::Builtin builtin, uint32_t count,
                const bytecode::Place& place) {
  if (names.stack_place.line == 0) names.stack_place = place;
  uint32_t& frames = builtin == bytecode::Builtin::Ustack ? names.user_frames : names.kernel_frames;
  frames = std::max(frames, count);
}

int number_of(EventNames& names, KernelRead read, const bytecode::Place& place) {
  auto& reads = names.kernel_reads;
  read.place = place;
  for (size_t i = 0; i < reads.size(); ++i) {
    if (reads[i].is_same(read)) return static_cast<int>(i);
  }
  reads.push_back(std::move(read));
  return static_cast<int>(reads.size() - 1);
}

int member_of(EventNames& names, int parent, const std::string& name,
              const bytecode::Place& place) {
  KernelRead member;
  member.kind = KernelRead::Kind::Member;
  member.parent = parent;
  member.text = name;
  return number_of(names, std::move(member), place);
}

/// What a built-in function takes of the event by itself.
void note_own_reads(EventNames& names, bytecode::Builtin builtin, const bytecode::Place& place) {
  schema::BuiltinVar var;
  if (builtin == bytecode::Builtin::Usym) {
    var = schema::BuiltinVar::Pid;
  } else if (builtin == bytecode::Builtin::PrintTraceClock) {
    var = schema::BuiltinVar::Ns;
  } else {
    const bool waits = builtin == bytecode::Builtin::InIowait;
    if (!waits && builtin != bytecode::Builtin::CurrTaskinfo) return;
    const int task = number_of(names, KernelRead{}, place);
    if (waits) member_of(names, task, schema::kInIowait, place);
    return;
  }
  names.vars.insert(var);
  names.var_places.emplace(var, place);
}

/// What is called may read what an argument of it leads to.
bool reads_memory(bytecode::Builtin builtin) {
  switch (builtin) {
    case bytecode::Builtin::UserString:
    case bytecode::Builtin::KernelString:
    case bytecode::Builtin::Buf:
    case bytecode::Builtin::Cast:
    case bytecode::Builtin::Kaddr:
    case bytecode::Builtin::EnumName:
    case bytecode::Builtin::CurrTaskinfo:
    case bytecode::Builtin::NetIpSockSaddr:
    case bytecode::Builtin::NetIpSockDaddr:
      return true;
    default:
      return false;
  }
}

class Collector {
 public:
  /// `closure`: what is called with the event, when that is this function; else null.
  Collector(const bytecode::Function& function, const runtime::Closure* closure, const World& world,
            EventNames& names)
      : f_(function),
        gets_event_(closure != nullptr && function.param_count > 0),
        closure_(closure),
        world_(world),
        names_(names) {}

  void run() {
    find_ways();
    if (gets_event_) arriving_[0][0] = Object{};
    for (size_t pc = 0; pc < f_.code.size(); ++pc) {
      enter(pc);
      pc_ = pc;
      place_ = pc < f_.places.size() ? f_.places[pc] : bytecode::Place();
      note_escape(f_.code[pc]);
      step(f_.code[pc]);
      for (const size_t next : successors(f_, pc)) {
        if (next > pc) arrive(next);
      }
    }
  }

 private:
  using State = std::map<size_t, Known>;

  const std::string& text(size_t k) const { return std::get<std::string>(f_.constants[k]); }

  /// The last instruction from which a round comes back, by where it comes back to.
  void find_ways() {
    for (size_t pc = 0; pc < f_.code.size(); ++pc) {
      for (const size_t next : successors(f_, pc)) {
        if (next <= pc) last_of_rounds_[next] = pc;
      }
    }
  }

  /// A way leads on to `pc`: known there is what all ways know.
  void arrive(size_t pc) {
    const auto [at, is_first] = arriving_.try_emplace(pc, known_);
    if (is_first) return;
    State& there = at->second;
    for (auto it = there.begin(); it != there.end();) {
      const auto here = known_.find(it->first);
      const bool is_same = here != known_.end() && here->second == it->second;
      it = is_same ? std::next(it) : there.erase(it);
    }
  }

  /// What is known at `pc`; at the head of a loop not what its rounds write.
  void enter(size_t pc) {
    known_.clear();
    if (const auto at = arriving_.find(pc); at != arriving_.end()) {
      known_ = std::move(at->second);
      arriving_.erase(at);
    }
    const auto last = last_of_rounds_.find(pc);
    if (last == last_of_rounds_.end()) return;
    for (size_t i = pc; i <= last->second; ++i) {
      const Insn insn = f_.code[i];
      if (insn.op() == Op::LoadNil || writes_upwards(insn.op())) {
        known_.erase(known_.lower_bound(insn.a()), known_.end());
      } else if (writes_a(insn.op())) {
        known_.erase(insn.a());
      }
    }
  }

  bool is_event(size_t r) const {
    auto found = known_.find(r);
    return found != known_.end() && std::holds_alternative<Object>(found->second);
  }

  /// The event object as an argument, a result, or stored somewhere.
  void note_escape(Insn insn) {
    size_t first = insn.a();
    size_t last = insn.a();
    switch (insn.op()) {
      case Op::SetGlobal:
      case Op::SetUpval:
        break;
      case Op::SetIndex:
      case Op::SetField:
        first = last = insn.c();
        break;
      case Op::Call:
      case Op::TailCall:
        first = insn.a() + size_t{1};
        last = insn.b() == 0 ? f_.register_count : insn.a() + insn.b() - size_t{1};
        break;
      case Op::Return:
        last = insn.b() == 0 ? f_.register_count : insn.a() + insn.b() - size_t{2};
        if (insn.b() == 1) return;
        break;
      case Op::Tuple:
        first = insn.b();
        last = insn.b() + insn.c() - size_t{1};
        break;
      default:
        return;
    }
    for (size_t r = first; r <= last; ++r) {
      names_.event_escapes = names_.event_escapes || is_event(r);
    }
  }

  void step(Insn insn) {
    const uint8_t a = insn.a();
    switch (insn.op()) {
      case Op::EventVar: {
        const auto var = static_cast<schema::BuiltinVar>(insn.d());
        names_.vars.insert(var);
        names_.var_places.emplace(var, place_);
        known_[a] = Var{var};
        if (var == schema::BuiltinVar::Curtask) known_[a] = Read{number_of(KernelRead{})};
        if (var == schema::BuiltinVar::EventObject) known_[a] = Object{};
        break;
      }
      case Op::EventField:
      case Op::EventWord:
        names_.fields.insert(text(insn.d()));
        names_.name_places.emplace(text(insn.d()), place_);
        known_[a] = Field{text(insn.d())};
        break;
      case Op::GetField:
        if (is_memory_member(insn)) break;
        names_.members.insert(text(insn.c()));
        names_.name_places.emplace(text(insn.c()), place_);
        if (known_as<Read>(a) == nullptr) known_[a] = Member{text(insn.c())};
        break;
      case Op::GetIndex:
        element(insn);
        break;
      case Op::GetGlobal:
      case Op::GetUpval:
        variable(insn);
        break;
      case Op::LoadInt:
        known_[a] = Integer{insn.s()};
        break;
      case Op::LoadK:
        load_constant(insn);
        break;
      case Op::LoadBuiltin:
        load_builtin(a, static_cast<bytecode::Builtin>(insn.d()));
        break;
      case Op::Move: {
        auto from = known_.find(insn.b());
        if (from != known_.end()) {
          const Known copy = from->second;
          known_[a] = copy;
        } else {
          known_.erase(a);
        }
        break;
      }
      case Op::LoadNil:
        for (size_t r = a; r <= size_t{a} + insn.b(); ++r) known_.erase(r);
        break;
      case Op::Call:
      case Op::TailCall:
        call(a, insn.b());
        kernel_call(a, insn.b());
        break;
      case Op::ForPrep:
      case Op::ForLoop:
      case Op::IterPrep:
      case Op::IterNext:
        known_.erase(known_.lower_bound(a), known_.end());
        break;
      default:
        if (writes_a(insn.op())) known_.erase(a);
        break;
    }
  }

  void load_builtin(uint8_t a, bytecode::Builtin builtin) {
    known_.erase(a);
    if (reads_memory(builtin)) known_[a] = StringFunction{builtin};
    if (is_stack_function(builtin)) stack_function(a, builtin);
    note_own_reads(names_, builtin, place_);
  }

  /// What is called where it stands asks for as much as its arguments tell; what is put away first
  /// may be called with any.
  void stack_function(uint8_t a, bytecode::Builtin builtin) {
    known_[a] = StringFunction{builtin};
    const StackCall call = stack_call(pc_, a, builtin);
    note_stack(names_, builtin, call.frames, place_);
    if (builtin != bytecode::Builtin::Ustack) return;
    names_.unwinds_stack = names_.unwinds_stack || call.unwinds;
    names_.asks_stack_late = names_.asks_stack_late || call.is_late;
  }

  /// What a call of a stack function asks for.
  struct StackCall {
    uint32_t frames = 0;
    bool unwinds = false;  ///< a copy, no frames
    bool is_late = false;  ///< it is not known here
  };

  /// Looks on to the call of register `a`, as far as code goes straight and the arguments are
  /// integers that stand there.
  StackCall stack_call(size_t pc, uint8_t a, bytecode::Builtin builtin) const {
    const uint32_t all = most_frames(builtin);
    int64_t given[2] = {-1, 0};
    const bool is_older =
        builtin == bytecode::Builtin::Backtrace || builtin == bytecode::Builtin::PrintBacktrace;
    if (is_older) std::swap(given[0], given[1]);
    for (size_t at = pc + 1; at < f_.code.size(); ++at) {
      const Insn insn = f_.code[at];
      const size_t number = insn.a() - (size_t{a} + 1);
      if (insn.op() == Op::Call && insn.a() == a && insn.b() == at - pc) break;
      if (insn.a() != size_t{a} + (at - pc) || number >= 2) return {all, false, true};
      if (insn.op() == Op::LoadK && number == 0 && is_dwarf(insn)) return {0, true, false};
      if (insn.op() != Op::LoadInt) return {all, false, true};
      given[number] = insn.s();
    }
    int64_t depth = given[is_older ? 1 : 0];
    const int64_t skip = given[is_older ? 0 : 1];
    if (depth == -1) depth = limits::kStackFrames;
    // What is out of bounds is a run-time error; it takes no more than one that is not.
    const auto frames = std::clamp<int64_t>(depth, 1, limits::kStackFrames) +
                        std::clamp<int64_t>(skip, 0, int64_t{all} - limits::kStackFrames);
    return {static_cast<uint32_t>(frames), false, false};
  }

  bool is_dwarf(Insn insn) const {
    const auto* text = std::get_if<std::string>(&f_.constants[insn.d()]);
    return text != nullptr && *text == kDwarfStack;
  }

  void load_constant(Insn insn) {
    // e["NAME"] reads as e.NAME.
    const auto* name = std::get_if<std::string>(&f_.constants[insn.d()]);
    if (name != nullptr && uses_index()) {
      names_.members.insert(*name);
      names_.name_places.emplace(*name, place_);
    }
    known_.erase(insn.a());
    if (name != nullptr) known_[insn.a()] = Text{*name};
    names_.names_dwarf = names_.names_dwarf || is_dwarf(insn);
    if (const auto* n = std::get_if<int64_t>(&f_.constants[insn.d()]))
      known_[insn.a()] = Integer{*n};
  }

  // ---- kernel memory

  template <class T>
  const T* known_as(size_t r) const {
    const auto found = known_.find(r);
    return found == known_.end() ? nullptr : std::get_if<T>(&found->second);
  }

  int number_of(KernelRead read) { return lower::number_of(names_, std::move(read), place_); }

  /// Register `r` holds a value of the event that has a name: `read` begins there.
  bool begins_at_field(size_t r, KernelRead* read) const {
    if (const auto* field = known_as<Field>(r)) {
      read->from = KernelRead::From::Field;
      read->from_name = field->name;
      return true;
    }
    if (const auto* member = known_as<Member>(r)) {
      read->from = KernelRead::From::Member;
      read->from_name = member->name;
      return true;
    }
    return false;
  }

  /// Likewise, or of the event's variables.
  bool begins_at_event(size_t r, KernelRead* read) const {
    const auto* var = known_as<Var>(r);
    if (var == nullptr) return begins_at_field(r, read);
    read->from = KernelRead::From::Var;
    read->from_var = var->var;
    return true;
  }

  /// The number of what register `r` holds, when that may be a pointer to kernel memory.
  std::optional<int> memory(size_t r) {
    if (const auto* read = known_as<Read>(r)) return read->number;
    KernelRead field;
    field.kind = KernelRead::Kind::Event;
    if (!begins_at_field(r, &field)) return std::nullopt;
    return number_of(std::move(field));
  }

  /// False also where it may be another thing's: x.NAME.member of any x reads as e.NAME.member.
  bool is_memory_member(Insn insn) {
    const std::optional<int> parent = memory(insn.b());
    if (!parent) return false;
    const bool is_sure = known_as<Member>(insn.b()) == nullptr;
    known_[insn.a()] = Read{member_of(names_, *parent, text(insn.c()), place_)};
    return is_sure;
  }

  /// A variable of the main chunk that no handler changes.
  void variable(Insn insn) {
    known_.erase(insn.a());
    if (insn.op() == Op::GetGlobal) {
      const size_t slot = insn.d();
      if (slot < world_.globals->size() && world_.assigned_globals.count(insn.d()) == 0)
        constant(insn.a(), (*world_.globals)[slot]);
    } else if (closure_ != nullptr && insn.b() < closure_->upvalues.size()) {
      const runtime::Cell* cell = closure_->upvalues[insn.b()];
      if (world_.assigned_cells.count(cell) == 0) constant(insn.a(), *cell->slot);
    }
  }

  void constant(uint8_t a, runtime::Value value) {
    if (value.type == runtime::Type::String && value.string()->view() == kDwarfStack)
      names_.names_dwarf = true;
    if (value.type == runtime::Type::Integer) known_[a] = Integer{value.integer};
    if (value.type != runtime::Type::Pointer) return;
    KernelRead read;
    read.kind = KernelRead::Kind::Constant;
    read.number = value.pointer()->address();
    read.type = {value.pointer()->type(), value.pointer()->pointers()};
    known_[a] = Read{number_of(std::move(read))};
  }

  /// pointer[i], pointer["name"]; i is known or of the event.
  void element(Insn insn) {
    KernelRead read;
    bool is_known = true;
    if (const auto* index = known_as<Integer>(insn.c())) {
      read.kind = KernelRead::Kind::Element;
      read.number = index->value;
    } else if (const auto* name = known_as<Text>(insn.c())) {
      read.kind = KernelRead::Kind::Member;
      read.text = name->text;
    } else {
      read.kind = KernelRead::Kind::ElementAt;
      is_known = begins_at_event(insn.c(), &read);
    }
    const std::optional<int> object = is_known ? memory(insn.b()) : std::nullopt;
    if (!object) {
      known_.erase(insn.a());
      return;
    }
    read.parent = *object;
    known_[insn.a()] = Read{number_of(std::move(read))};
  }

  /// cast(TYPE, x), kaddr(NAME) and enum_name(ENUM, n); after the call.
  void kernel_call(uint8_t a, size_t b) {
    const auto* function = known_as<StringFunction>(a);
    const auto* first = known_as<Text>(a + size_t{1});
    std::optional<Known> result;
    if (function != nullptr && first != nullptr) {
      const bool is_kaddr = function->builtin == bytecode::Builtin::Kaddr && b == 2;
      if (is_kaddr) result = Symbol{first->text};
      if (is_kaddr || (function->builtin == bytecode::Builtin::EnumName && b == 3))
        names_.kernel_names.push_back({function->builtin, first->text, place_});
      if (function->builtin == bytecode::Builtin::Cast && b == 3)
        result = cast(a + size_t{2}, first->text);
    }
    if (function != nullptr) note_library(function->builtin, a, b);
    known_.erase(known_.lower_bound(a), known_.end());
    if (result) known_[a] = *result;
  }

  /// What functions of the library follow.
  void note_library(bytecode::Builtin builtin, size_t a, size_t b) {
    if (builtin == bytecode::Builtin::CurrTaskinfo) return note_task_bytes(a, b);
    const bool is_source = builtin == bytecode::Builtin::NetIpSockSaddr;
    if ((!is_source && builtin != bytecode::Builtin::NetIpSockDaddr) || b != 2) return;
    const std::optional<Known> socket = cast(a + 1, schema::kSocketPointer);
    if (!socket) return;
    const int common =
        member_of(names_, std::get<Read>(*socket).number, schema::kSocketCommon, place_);
    member_of(names_, common, schema::kSocketFamily, place_);
    member_of(names_, common, is_source ? schema::kSocketSource : schema::kSocketDestination,
              place_);
  }

  void note_task_bytes(size_t a, size_t b) {
    const auto* offset = known_as<Integer>(a + 1);
    const auto* size = known_as<Integer>(a + 2);
    const int64_t n = b == 2 ? schema::kTaskinfoBytes : size == nullptr ? 0 : size->value;
    const char* type = schema::taskinfo_pointer(n);
    if (offset == nullptr || type == nullptr) return;
    KernelRead read;
    read.kind = KernelRead::Kind::TaskBytes;
    read.number = offset->value;
    read.text = type;
    KernelRead element;
    element.kind = KernelRead::Kind::Element;
    element.parent = number_of(std::move(read));
    number_of(std::move(element));
  }

  /// Of what register `from` holds.
  std::optional<Known> cast(size_t from, const std::string& type) {
    KernelRead read;
    read.kind = KernelRead::Kind::Cast;
    read.text = type;
    if (begins_at_event(from, &read)) {
      // That is all.
    } else if (const auto* number = known_as<Integer>(from)) {
      read.number = number->value;
    } else if (const auto* symbol = known_as<Symbol>(from)) {
      read.from = KernelRead::From::Symbol;
      read.from_name = symbol->name;
    } else if (const auto* address = known_as<Read>(from)) {
      read.from = KernelRead::From::Read;
      read.parent = address->number;
    } else {
      return std::nullopt;
    }
    return Read{number_of(std::move(read))};
  }

  bool uses_index() const {
    for (Insn insn : f_.code) {
      if (insn.op() == Op::GetIndex) return true;
    }
    return false;
  }

  /// The bound that the call at `a` gives; the largest there is when it is not known, and 0 for one
  /// that is an error before anything is read.
  uint32_t limit_of(size_t a, size_t b) const {
    if (b == 2) return limits::kStringBytes;
    auto given = known_.find(a + 2);
    const Integer* n =
        b != 3 || given == known_.end() ? nullptr : std::get_if<Integer>(&given->second);
    const int64_t limit = n == nullptr ? limits::kMaxStringBytes : n->value;
    return limit < 1 || limit > limits::kMaxStringBytes ? 0 : static_cast<uint32_t>(limit);
  }

  template <class Map, class Name>
  void add_string(Map& strings, const Name& name, uint32_t limit_bytes) {
    StringRead& read = strings.emplace(name, StringRead{limit_bytes, place_}).first->second;
    read.limit_bytes = std::max(read.limit_bytes, limit_bytes);
  }

  /// buf(address, n).
  void add_bytes(size_t a) {
    BytesRead made{{}, {}, place_};
    const auto* number = known_as<Integer>(a + 2);
    if (number != nullptr) made.count.number = number->value;
    if (!begins_at_event(a + 1, &made.address)) return;
    if (number == nullptr && !begins_at_event(a + 2, &made.count)) return;
    for (const BytesRead& read : names_.bytes) {
      if (read.address.is_same(made.address) && read.count.is_same(made.count)) return;
    }
    names_.bytes.push_back(std::move(made));
  }

  void call(size_t a, size_t b) {
    auto callee = known_.find(a);
    auto arg = known_.find(a + 1);
    if (callee == known_.end() || arg == known_.end()) return;
    const auto* function = std::get_if<StringFunction>(&callee->second);
    if (function == nullptr) return;
    if (function->builtin == bytecode::Builtin::Buf && b == 3) add_bytes(a);
    const bool is_kernel = function->builtin == bytecode::Builtin::KernelString;
    if (!is_kernel && function->builtin != bytecode::Builtin::UserString) return;
    StringReads& reads = is_kernel ? names_.kernel_strings : names_.user_strings;
    const uint32_t limit = limit_of(a, b);
    if (limit == 0) return;
    if (const auto* var = std::get_if<Var>(&arg->second)) add_string(reads.vars, var->var, limit);
    if (const auto* field = std::get_if<Field>(&arg->second))
      add_string(reads.fields, field->name, limit);
    if (const auto* member = std::get_if<Member>(&arg->second))
      add_string(reads.members, member->name, limit);
  }

  const bytecode::Function& f_;
  bool gets_event_;
  const runtime::Closure* closure_;
  const World& world_;
  EventNames& names_;
  size_t pc_ = 0;          // of the instruction that is looked at
  bytecode::Place place_;  // likewise
  State known_;            // by register
  std::map<size_t, State> arriving_;
  std::map<size_t, size_t> last_of_rounds_;
};

}  // namespace

void collect_names(runtime::Value function, const World& world, EventNames& names) {
  const bool is_closure = function.type == runtime::Type::Function;
  for (const bytecode::Function* f : reachable_functions(function, world)) {
    const bool is_called = is_closure && function.closure()->function == f;
    Collector(*f, is_called ? function.closure() : nullptr, world, names).run();
  }
  // print as a handler: what it is called with is the event.
  if (function.type == runtime::Type::Builtin) names.event_escapes = true;
  const bytecode::Place place =
      is_closure ? function.closure()->function->place : bytecode::Place();
  for (const bytecode::Builtin builtin : kept_builtins(function, world)) {
    note_own_reads(names, builtin, place);
    if (!is_stack_function(builtin)) continue;
    note_stack(names, builtin, most_frames(builtin), place);
    if (builtin == bytecode::Builtin::Ustack) names.asks_stack_late = true;
  }
}

}  // namespace ktap::lower

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
#include "lower/code_walk.h"
#include "runtime/kernel_pointer.h"

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
        known_[a] = Member{text(insn.c())};
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
    if (builtin == bytecode::Builtin::UserString || builtin == bytecode::Builtin::KernelString ||
        builtin == bytecode::Builtin::Cast || builtin == bytecode::Builtin::Kaddr) {
      known_[a] = StringFunction{builtin};
    }
    if (builtin == bytecode::Builtin::PrintTraceClock) {
      names_.vars.insert(schema::BuiltinVar::Ns);
      names_.var_places.emplace(schema::BuiltinVar::Ns, place_);
    }
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
    if (const auto* n = std::get_if<int64_t>(&f_.constants[insn.d()]))
      known_[insn.a()] = Integer{*n};
  }

  // ---- kernel memory

  template <class T>
  const T* known_as(size_t r) const {
    const auto found = known_.find(r);
    return found == known_.end() ? nullptr : std::get_if<T>(&found->second);
  }

  int number_of(KernelRead read) {
    auto& reads = names_.kernel_reads;
    read.place = place_;
    for (size_t i = 0; i < reads.size(); ++i) {
      if (reads[i].is_same(read)) return static_cast<int>(i);
    }
    reads.push_back(std::move(read));
    return static_cast<int>(reads.size() - 1);
  }

  bool is_memory_member(Insn insn) {
    const auto* read = known_as<Read>(insn.b());
    if (read == nullptr) return false;
    KernelRead member;
    member.kind = KernelRead::Kind::Member;
    member.parent = read->number;
    member.text = text(insn.c());
    known_[insn.a()] = Read{number_of(std::move(member))};
    return true;
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
    if (value.type == runtime::Type::Integer) known_[a] = Integer{value.integer};
    if (value.type != runtime::Type::Pointer) return;
    KernelRead read;
    read.kind = KernelRead::Kind::Constant;
    read.number = value.pointer()->address();
    read.type = {value.pointer()->type(), value.pointer()->pointers()};
    known_[a] = Read{number_of(std::move(read))};
  }

  /// pointer[i], pointer["name"].
  void element(Insn insn) {
    const auto* object = known_as<Read>(insn.b());
    const auto* index = known_as<Integer>(insn.c());
    const auto* name = known_as<Text>(insn.c());
    if (object == nullptr || (index == nullptr && name == nullptr)) {
      known_.erase(insn.a());
      return;
    }
    KernelRead read;
    read.parent = object->number;
    read.kind = index != nullptr ? KernelRead::Kind::Element : KernelRead::Kind::Member;
    if (index != nullptr) read.number = index->value;
    if (name != nullptr) read.text = name->text;
    known_[insn.a()] = Read{number_of(std::move(read))};
  }

  /// cast(TYPE, x) and kaddr(NAME); after the call.
  void kernel_call(uint8_t a, size_t b) {
    const auto* function = known_as<StringFunction>(a);
    const auto* first = known_as<Text>(a + size_t{1});
    std::optional<Known> result;
    if (function != nullptr && first != nullptr) {
      if (function->builtin == bytecode::Builtin::Kaddr && b == 2) result = Symbol{first->text};
      if (function->builtin == bytecode::Builtin::Cast && b == 3) result = cast(a, first->text);
    }
    known_.erase(known_.lower_bound(a), known_.end());
    if (result) known_[a] = *result;
  }

  std::optional<Known> cast(size_t a, const std::string& type) {
    KernelRead read;
    read.kind = KernelRead::Kind::Cast;
    read.text = type;
    const size_t from = a + 2;
    if (const auto* var = known_as<Var>(from)) {
      read.from = KernelRead::From::Var;
      read.from_var = var->var;
    } else if (const auto* field = known_as<Field>(from)) {
      read.from = KernelRead::From::Field;
      read.from_name = field->name;
    } else if (const auto* member = known_as<Member>(from)) {
      read.from = KernelRead::From::Member;
      read.from_name = member->name;
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

  /// The bound that the call at `a` gives; the largest there is when it is not known.
  uint32_t limit_of(size_t a, size_t b) const {
    if (b == 2) return limits::kStringBytes;
    auto given = known_.find(a + 2);
    const Integer* n =
        b != 3 || given == known_.end() ? nullptr : std::get_if<Integer>(&given->second);
    const int64_t limit = n == nullptr ? limits::kMaxStringBytes : n->value;
    return static_cast<uint32_t>(std::clamp<int64_t>(limit, 1, limits::kMaxStringBytes));
  }

  template <class Map, class Name>
  void add_string(Map& strings, const Name& name, uint32_t limit_bytes) {
    StringRead& read = strings.emplace(name, StringRead{limit_bytes, place_}).first->second;
    read.limit_bytes = std::max(read.limit_bytes, limit_bytes);
  }

  void call(size_t a, size_t b) {
    auto callee = known_.find(a);
    auto arg = known_.find(a + 1);
    if (callee == known_.end() || arg == known_.end()) return;
    const auto* function = std::get_if<StringFunction>(&callee->second);
    if (function == nullptr) return;
    StringReads& reads = function->builtin == bytecode::Builtin::KernelString
                             ? names_.kernel_strings
                             : names_.user_strings;
    const uint32_t limit = limit_of(a, b);
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
  bytecode::Place place_;  // of the instruction that is looked at
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
}

}  // namespace ktap::lower

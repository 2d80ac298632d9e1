// Collecting event names from bytecode; see event_names.h. For user_string() and kernel_string() a
// window of one straight run of code is enough: which register holds which name, forgotten at every
// jump and place that jumps lead to.
#include "lower/event_names.h"

#include <algorithm>
#include <map>
#include <variant>
#include <vector>

#include "base/limits.h"
#include "lower/code_walk.h"

namespace ktap::lower {

namespace {

using bytecode::Insn;
using bytecode::Op;

struct Var {
  schema::BuiltinVar var;
};
struct Field {
  std::string name;
};
struct Member {
  std::string name;
};
struct StringFunction {
  bytecode::Builtin builtin;
};
struct Object {};
struct Integer {
  int64_t value;
};
using Known = std::variant<Var, Field, Member, StringFunction, Object, Integer>;

class Collector {
 public:
  /// `gets_event`: the first parameter is the event.
  Collector(const bytecode::Function& function, bool gets_event, EventNames& names)
      : f_(function), gets_event_(gets_event && function.param_count > 0), names_(names) {}

  void run() {
    std::set<size_t> targets;
    for (size_t pc = 0; pc < f_.code.size(); ++pc) {
      for (size_t next : successors(f_, pc)) {
        if (next != pc + 1 || bytecode::is_test(f_.code[pc].op())) targets.insert(next);
      }
    }
    forget();
    for (size_t pc = 0; pc < f_.code.size(); ++pc) {
      if (targets.count(pc) != 0) forget();
      place_ = pc < f_.places.size() ? f_.places[pc] : bytecode::Place();
      note_escape(f_.code[pc]);
      step(f_.code[pc]);
    }
  }

 private:
  const std::string& text(size_t k) const { return std::get<std::string>(f_.constants[k]); }

  void forget() {
    known_.clear();
    if (gets_event_) known_[0] = Object{};
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
        names_.members.insert(text(insn.c()));
        names_.name_places.emplace(text(insn.c()), place_);
        known_[a] = Member{text(insn.c())};
        break;
      case Op::GetIndex:
        known_.erase(a);
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
        known_.erase(known_.lower_bound(a), known_.end());
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
    if (builtin == bytecode::Builtin::UserString || builtin == bytecode::Builtin::KernelString) {
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
  EventNames& names_;
  bytecode::Place place_;  // of the instruction that is looked at
  std::map<size_t, Known> known_;
};

}  // namespace

void collect_names(runtime::Value function, const World& world, EventNames& names) {
  const bool is_closure = function.type == runtime::Type::Function;
  for (const bytecode::Function* f : reachable_functions(function, world)) {
    Collector(*f, is_closure && function.closure()->function == f, names).run();
  }
}

}  // namespace ktap::lower

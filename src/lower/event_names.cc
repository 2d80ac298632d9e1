// Collecting event names from bytecode; see event_names.h. For user_string() a window of one
// straight run of code is enough: which register holds which name, forgotten at every jump and
// place that jumps lead to.
#include "lower/event_names.h"

#include <map>
#include <variant>
#include <vector>

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
struct UserStringFunction {};
struct Object {};
using Known = std::variant<Var, Field, Member, UserStringFunction, Object>;

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
        known_[a] = Var{var};
        if (var == schema::BuiltinVar::EventObject) known_[a] = Object{};
        break;
      }
      case Op::EventField:
      case Op::EventWord:
        names_.fields.insert(text(insn.d()));
        known_[a] = Field{text(insn.d())};
        break;
      case Op::GetField:
        names_.members.insert(text(insn.c()));
        known_[a] = Member{text(insn.c())};
        break;
      case Op::GetIndex:
        known_.erase(a);
        break;
      case Op::LoadK:
        // e["NAME"] reads as e.NAME.
        if (const auto* name = std::get_if<std::string>(&f_.constants[insn.d()])) {
          if (uses_index()) names_.members.insert(*name);
        }
        known_.erase(a);
        break;
      case Op::LoadBuiltin:
        known_.erase(a);
        if (static_cast<bytecode::Builtin>(insn.d()) == bytecode::Builtin::UserString) {
          known_[a] = UserStringFunction{};
        }
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
        call(a);
        known_.erase(known_.lower_bound(a), known_.end());
        break;
      case Op::ForPrep:
      case Op::ForLoop:
      case Op::IterPrep:
      case Op::IterNext:
        known_.erase(known_.lower_bound(a), known_.end());
        break;
      default:
        if (!keeps_registers(insn.op())) known_.erase(a);
        break;
    }
  }

  /// R[A] is read, or is none.
  static bool keeps_registers(Op op) {
    switch (op) {
      case Op::SetGlobal:
      case Op::UpdateGlobal:
      case Op::SetUpval:
      case Op::UpdateUpval:
      case Op::SetIndex:
      case Op::SetField:
      case Op::UpdateIndex:
      case Op::SetList:
      case Op::Jmp:
      case Op::Close:
      case Op::Return:
      case Op::Register:
      case Op::AggAdd:
      case Op::AggAddVar:
        return true;
      default:
        return bytecode::is_test(op);
    }
  }

  bool uses_index() const {
    for (Insn insn : f_.code) {
      if (insn.op() == Op::GetIndex) return true;
    }
    return false;
  }

  void call(size_t a) {
    auto callee = known_.find(a);
    auto arg = known_.find(a + 1);
    if (callee == known_.end() || !std::holds_alternative<UserStringFunction>(callee->second))
      return;
    if (arg == known_.end()) return;
    if (const auto* var = std::get_if<Var>(&arg->second)) names_.string_vars.insert(var->var);
    if (const auto* field = std::get_if<Field>(&arg->second))
      names_.string_fields.insert(field->name);
    if (const auto* member = std::get_if<Member>(&arg->second))
      names_.string_members.insert(member->name);
  }

  const bytecode::Function& f_;
  bool gets_event_;
  EventNames& names_;
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

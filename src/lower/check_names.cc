// Names that an event does not have, found before anything is placed: a walk over all code that a
// handler and its filter can reach, whether or not a run would come there. So the answer is the
// same for a handler in the kernel and in user space. What is seen: args.NAME, built-in variables,
// bare names of filters, and e.NAME where a straight run of code shows that `e` is the event. A
// member of something else may be the event at run time; then a missing name is a run-time error.
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "lower/code_walk.h"
#include "lower/event_names.h"
#include "lower/event_reads.h"
#include "lower/lower.h"

namespace ktap::lower {

namespace {

using bytecode::Function;
using bytecode::Insn;
using bytecode::Op;
using runtime::Closure;
using schema::BuiltinVar;
using schema::Event;

/// Code that asks which event it runs on may well have ways that an event never takes.
bool tells_events_apart(const EventNames& names) {
  return names.vars.count(BuiltinVar::Probename) != 0 || names.vars.count(BuiltinVar::Arg0) != 0 ||
         names.members.count("name") != 0 || names.members.count("sc_nr") != 0 ||
         names.members.count("sc_is_enter") != 0;
}

bool is_usable(const EventRead& read) {
  return read.kind != EventRead::Kind::Missing && read.kind != EventRead::Kind::Opaque;
}

bool is_text(const Event& event, const EventRead& read) {
  switch (read.kind) {
    case EventRead::Kind::Var:
      return read.var == BuiltinVar::Execname;
    case EventRead::Kind::Field:
      return is_string_field(event.fields[read.field]);
    default:
      return read.kind == EventRead::Kind::Name || read.kind == EventRead::Kind::Text;
  }
}

/// The address of characters, as the event declares it.
bool is_string_address(const Event& event, const EventRead& read) {
  if (read.kind != EventRead::Kind::Field) return false;
  const schema::Field& field = event.fields[read.field];
  return field.kind == schema::FieldKind::Pointer &&
         (field.c_type == "const char *" || field.c_type == "char *");
}

/// What gives the string there. `spelled`: how the script gets at the address.
std::string string_behind(const Event& event, const EventRead& read, const std::string& spelled) {
  const schema::Field& field = event.fields[read.field];
  const bool has_text =
      field.as_text >= 0 &&
      event.fields[static_cast<size_t>(field.as_text)].kind == schema::FieldKind::Text;
  if (has_text) return "args." + field.name;
  const bool is_users = schema::is_syscall(event.kind) || !event.point.path.empty();
  return fmt::format("{}({})", is_users ? "user_string" : "kernel_string", spelled);
}

EventMistake mistake_of(const Event& event, const EventRead& read, const std::string& name,
                        std::optional<BuiltinVar> var, const bytecode::Place& place) {
  if (read.kind == EventRead::Kind::Opaque) return opaque_field(event, read.field, place);
  return var ? missing_variable(event, *var, place) : missing_field(event, name, place);
}

class Checker {
 public:
  Checker(const Handler& handler, const World& world, const std::vector<schema::EventPtr>& events)
      : world_(world), events_(events) {
    // What the handler asks comes too late for its filter.
    EventNames names;
    for (const runtime::Value root : {handler.filter, handler.function}) {
      collect_names(root, world, names);
      lenient_ = tells_events_apart(names);
      for (const Function* f : reachable_functions(root, world)) walk(*f, {});
    }
    if (handler.function.type == runtime::Type::Function)
      walk(*handler.function.closure()->function, {0});
  }

  std::vector<EventMistake> mistakes;

 private:
  using Read = std::function<EventRead(const Event&)>;
  /// What a register holds, as far as the code just before shows it.
  struct Known {
    bool is_event = false;
    const Closure* closure = nullptr;
    Read read;                      ///< something of the event
    std::optional<BuiltinVar> var;  ///< a built-in variable, no field
    std::string word;               ///< EventWord: the name
    std::string spelled;            ///< what of the event, as a script writes it
    bool is_text = false;           ///< a string of the script
    bytecode::Place place;
  };
  using Params = std::set<size_t>;

  static const std::string& text(const Function& f, size_t k) {
    return std::get<std::string>(f.constants[k]);
  }

  /// `event_params`: the parameters that hold the event.
  void walk(const Function& f, const Params& event_params) {
    if (!walked_.insert({&f, event_params}).second) return;
    Params sure;
    for (size_t param : event_params) {
      if (param < f.param_count && !is_changed(f, param)) sure.insert(param);
    }
    std::set<size_t> targets;
    for (size_t pc = 0; pc < f.code.size(); ++pc) {
      for (size_t next : successors(f, pc)) {
        if (next != pc + 1 || bytecode::is_test(f.code[pc].op())) targets.insert(next);
      }
    }
    std::map<size_t, Known> known;
    for (size_t pc = 0; pc < f.code.size(); ++pc) {
      if (pc == 0 || targets.count(pc) != 0) {
        known.clear();
        for (size_t param : sure) known[param].is_event = true;
      }
      step(f, pc, known);
    }
  }

  /// The parameter's register is written, here or by a function that captures it.
  static bool is_changed(const Function& f, size_t param) {
    for (Insn insn : f.code) {
      const bool many = writes_upwards(insn.op()) || insn.op() == Op::LoadNil;
      if (writes_a(insn.op()) && (insn.a() == param || (many && insn.a() < param))) return true;
    }
    for (const auto& child : f.children) {
      for (const bytecode::UpvalueDesc& upvalue : child->upvalues) {
        if (upvalue.from_parent_register && upvalue.index == param) return true;
      }
    }
    return false;
  }

  void step(const Function& f, size_t pc, std::map<size_t, Known>& known) {
    const Insn insn = f.code[pc];
    Known now;
    if (pc < f.places.size()) now.place = f.places[pc];
    switch (insn.op()) {
      case Op::EventVar: {
        const auto var = static_cast<BuiltinVar>(insn.d());
        now.is_event = var == BuiltinVar::EventObject;
        now.read = [var](const Event& event) { return read_variable(event, var); };
        now.var = var;
        now.spelled = schema::builtin_var_name(var);
        check(now, std::string(schema::builtin_var_name(var)));
        break;
      }
      case Op::EventField:
      case Op::EventWord: {
        const std::string name = text(f, insn.d());
        now.read = [name](const Event& event) { return read_field(event, name); };
        now.spelled = "args." + name;
        if (insn.op() == Op::EventWord) {
          now.word = name;
        } else {
          check(now, name);
        }
        break;
      }
      case Op::GetField: {
        if (!known[insn.b()].is_event) break;
        const std::string name = text(f, insn.c());
        now.read = [name](const Event& event) { return read_member(event, name); };
        now.spelled = "args." + name;
        check(now, name);
        break;
      }
      case Op::GetGlobal:
        read_global(insn.d(), now);
        break;
      case Op::LoadK:
        now.is_text = std::holds_alternative<std::string>(f.constants[insn.d()]);
        break;
      case Op::Move:
        now = known[insn.b()];
        break;
      case Op::TestEq:
        compare(known[insn.a()], known[insn.b()]);
        compare_address(known[insn.a()], known[insn.b()], "which equals no string");
        break;
      case Op::TestEqK:
        now.is_text = std::holds_alternative<std::string>(f.constants[insn.b()]);
        compare_address(known[insn.a()], now, "which equals no string");
        break;
      case Op::Match:
        compare(known[insn.b()], known[insn.c()]);
        compare_address(known[insn.b()], known[insn.c()], "not a string for '~'");
        break;
      case Op::Call:
      case Op::TailCall:
        call(insn, known);
        break;
      default:
        break;
    }
    if (writes_upwards(insn.op()) || insn.op() == Op::LoadNil) {
      known.erase(known.lower_bound(insn.a()), known.end());
    } else if (writes_a(insn.op())) {
      known[insn.a()] = std::move(now);
    }
  }

  void read_global(size_t slot, Known& now) const {
    if (slot >= world_.globals->size() ||
        world_.assigned_globals.count(static_cast<uint32_t>(slot)) != 0)
      return;
    const runtime::Value value = (*world_.globals)[slot];
    now.closure = closure_of(value);
    now.is_text = value.type == runtime::Type::String;
  }

  static const Closure* closure_of(runtime::Value value) {
    return value.type == runtime::Type::Function ? value.closure() : nullptr;
  }

  /// A known function that gets the event reads it too.
  void call(Insn insn, std::map<size_t, Known>& known) {
    const Closure* callee = known[insn.a()].closure;
    if (callee == nullptr) return;
    Params params;
    for (size_t i = 0; i < callee->function->param_count; ++i) {
      if (insn.b() != 0 && i + 1 >= insn.b()) break;
      if (known[insn.a() + 1 + i].is_event) params.insert(i);
    }
    if (!params.empty()) walk(*callee->function, params);
  }

  void check(const Known& known, const std::string& name) {
    const Read& read = known.read;
    report(known, name, [&](const Event& event) { return !is_usable(read(event)); });
  }

  /// A word is one only where it is compared with text.
  void compare(const Known& a, const Known& b) {
    for (const auto& [word, other] : {std::pair(&a, &b), std::pair(&b, &a)}) {
      if (word->word.empty()) continue;
      const Known& name = *word;
      const Known& against = *other;
      const auto is_wrong = [&](const Event& event) {
        if (name.read(event).kind != EventRead::Kind::Missing) return !is_usable(name.read(event));
        if (!against.read) return true;
        const EventRead read = against.read(event);
        return read.kind != EventRead::Kind::Missing && !is_text(event, read);
      };
      report(name, name.word, is_wrong);
    }
  }

  /// An address where the string there is meant.
  void compare_address(const Known& a, const Known& b, std::string_view why) {
    const Known& address = b.is_text ? a : b;
    if (!(b.is_text ? b : a).is_text || !address.read) return;
    const Event* first = nullptr;
    for (const schema::EventPtr& event : events_) {
      const EventRead read = address.read(*event);
      if (read.kind == EventRead::Kind::Missing) continue;
      if (!is_string_address(*event, read)) return;
      if (first == nullptr) first = event.get();
    }
    if (first == nullptr) return;
    EventMistake warning;
    warning.code = diag::Code::AddressAsString;
    warning.span = address.place.span;
    warning.line = address.place.line;
    warning.word = address.spelled;
    warning.text = fmt::format("'{}' is an address, {}", address.spelled, why);
    warning.hint = fmt::format("the string there is {}",
                               string_behind(*first, address.read(*first), address.spelled));
    add(std::move(warning));
  }

  void report(const Known& known, const std::string& name,
              const std::function<bool(const Event&)>& is_wrong) {
    std::vector<const Event*> wrong;
    for (const schema::EventPtr& event : events_) {
      if (is_wrong(*event)) wrong.push_back(event.get());
    }
    if (wrong.empty()) return;
    const bool all = wrong.size() == events_.size();
    // A built-in variable that none of them gives is no slip of the pen, but code for other events.
    const bool may_be_meant = !all || known.var.has_value();
    // What all of them have and no script can read is no question of which event it is.
    const bool is_opaque = all && std::all_of(wrong.begin(), wrong.end(), [&](const Event* event) {
                             return known.read(*event).kind == EventRead::Kind::Opaque;
                           });
    if (lenient_ && may_be_meant && !is_opaque) return;
    EventMistake mistake =
        mistake_of(*wrong[0], known.read(*wrong[0]), name, known.var, known.place);
    if (!all) mistake.whose = whose(wrong);
    add(std::move(mistake));
  }

  /// Which of the events it is.
  std::string whose(const std::vector<const Event*>& wrong) const {
    constexpr size_t kMostNamed = 5;
    std::string names;
    for (size_t i = 0; i < wrong.size() && i < kMostNamed; ++i)
      names += (i == 0 ? "" : ", ") + wrong[i]->name;
    if (wrong.size() > kMostNamed) names += fmt::format(" and {} more", wrong.size() - kMostNamed);
    return fmt::format(
        "{} of the {} events do not give it: {}; `~NAME` behind the list leaves one out",
        wrong.size(), events_.size(), names);
  }

  void add(EventMistake mistake) {
    if (!reported_.insert({mistake.span.begin, mistake.word}).second) return;
    mistakes.push_back(std::move(mistake));
  }

  const World& world_;
  const std::vector<schema::EventPtr>& events_;
  bool lenient_ = false;
  std::set<std::pair<const Function*, Params>> walked_;
  std::set<std::pair<uint32_t, std::string>> reported_;
};

}  // namespace

std::vector<EventMistake> check_names(const Handler& handler, const World& world,
                                      const std::vector<schema::EventPtr>& events) {
  return Checker(handler, world, events).mistakes;
}

}  // namespace ktap::lower

// The kernel's half of a handler that runs in user space: its filter, then one record with
// everything of the event that the VM may ask for. Never refuses: a filter without a kernel form is
// left to the VM as well.
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/limits.h"
#include "lower/attempt.h"
#include "lower/event_names.h"
#include "lower/event_reads.h"
#include "lower/lower.h"
#include "lower/lowerer.h"

namespace ktap::lower {

namespace {

class Capturer {
 public:
  Capturer(Lowerer& lowerer, const Options& options) : lowerer_(lowerer) {
    site_ = lowerer_.new_site(ssa::SiteKind::Capture, operands_);
    if (options.timestamps) {
      CaptureArg ns;
      ns.var = schema::BuiltinVar::Ns;
      capture_.args.push_back(ns);
    }
  }

  void add(const EventRead& read, bool as_string) {
    switch (read.kind) {
      case EventRead::Kind::Var:
        if (!as_string) add_var(read.var);
        break;
      case EventRead::Kind::Name:
        add_var(schema::BuiltinVar::Probename);
        break;
      case EventRead::Kind::Field:
        if (as_string) {
          add_string(read.field);
        } else {
          add_field(read.field);
        }
        break;
      case EventRead::Kind::Text:
      case EventRead::Kind::TextFunction:
        site_.raw = ssa::RawEvent::Record;
        break;
      default:
        break;
    }
  }

  void finish(Linkage& linkage, bool filter_in_kernel) {
    capture_.filter_in_kernel = filter_in_kernel;
    site_.user_index = static_cast<uint32_t>(linkage.captures.size());
    linkage.captures.push_back(std::move(capture_));
    lowerer_.emit_site(std::move(site_), std::move(operands_));
  }

 private:
  std::optional<uint32_t> find(CaptureArg::Kind kind, uint32_t number) const {
    for (size_t i = 0; i < capture_.args.size(); ++i) {
      const CaptureArg& arg = capture_.args[i];
      if (arg.kind != kind) continue;
      const uint32_t mine = kind == CaptureArg::Kind::Var     ? static_cast<uint32_t>(arg.var)
                            : kind == CaptureArg::Kind::Field ? arg.field
                                                              : arg.address_arg;
      if (mine == number) return static_cast<uint32_t>(i);
    }
    return std::nullopt;
  }

  uint32_t push(CaptureArg arg, ssa::ValueId id) {
    capture_.args.push_back(arg);
    operands_.push_back(id);
    site_.args.push_back(lowerer_.site_arg(id));
    return static_cast<uint32_t>(operands_.size() - 1);
  }

  void add_var(schema::BuiltinVar var) {
    if (find(CaptureArg::Kind::Var, static_cast<uint32_t>(var))) return;
    CaptureArg arg;
    arg.var = var;
    push(arg, lowerer_.read_var(var));
  }

  uint32_t add_field(uint32_t field) {
    if (auto at = find(CaptureArg::Kind::Field, field)) return *at;
    CaptureArg arg;
    arg.kind = CaptureArg::Kind::Field;
    arg.field = field;
    return push(arg, lowerer_.read_event_field(field));
  }

  void add_string(uint32_t field) {
    const uint32_t address = add_field(field);
    if (site_.args[address].type != ssa::Type::Int || find(CaptureArg::Kind::UserString, address))
      return;
    CaptureArg arg;
    arg.kind = CaptureArg::Kind::UserString;
    arg.address_arg = address;
    ssa::Inst inst{ssa::Op::UserString, ssa::Type::MaybeStr, ssa::StrKind::Bytes,
                   limits::kStringBytes};
    inst.imm = limits::kStringBytes;
    inst.operands = {operands_[address]};
    push(arg, lowerer_.emit(std::move(inst)));
  }

  Lowerer& lowerer_;
  ssa::Site site_;
  CaptureSite capture_;
  std::vector<ssa::ValueId> operands_;
};

void add_all(Capturer& capturer, const schema::Event& event, const EventNames& names) {
  // Printing the event object is printing argstr.
  if (names.event_escapes) capturer.add(read_variable(event, schema::BuiltinVar::Argstr), false);
  for (schema::BuiltinVar var : names.vars) {
    capturer.add(read_variable(event, var), false);
  }
  for (const std::string& name : names.fields) capturer.add(read_field(event, name), false);
  for (const std::string& name : names.members) capturer.add(read_member(event, name), false);
  for (schema::BuiltinVar var : names.string_vars) capturer.add(read_variable(event, var), true);
  for (const std::string& name : names.string_fields) capturer.add(read_field(event, name), true);
  for (const std::string& name : names.string_members) capturer.add(read_member(event, name), true);
}

/// Code that asks which event it runs on may well have ways that this event never takes.
bool tells_events_apart(const EventNames& names) {
  return names.vars.count(schema::BuiltinVar::Probename) != 0 ||
         names.vars.count(schema::BuiltinVar::Arg0) != 0 || names.members.count("name") != 0 ||
         names.members.count("sc_nr") != 0 || names.members.count("sc_is_enter") != 0;
}

/// The first name that the event does not have, where that is sure to be a mistake: the VM would
/// only find it when it runs.
std::optional<EventMistake> find_mistake(runtime::Value function, const World& world,
                                         const schema::Event& event) {
  for (const bytecode::Function* f : reachable_functions(function, world)) {
    for (size_t pc = 0; pc < f->code.size(); ++pc) {
      const bytecode::Insn insn = f->code[pc];
      std::string name;
      if (insn.op() == bytecode::Op::EventField) {
        name = std::get<std::string>(f->constants[insn.d()]);
        if (read_field(event, name).kind != EventRead::Kind::Missing) continue;
      } else if (insn.op() == bytecode::Op::EventVar) {
        const auto var = static_cast<schema::BuiltinVar>(insn.d());
        name = schema::builtin_var_name(var);
        if (read_variable(event, var).kind != EventRead::Kind::Missing) continue;
      } else {
        continue;
      }
      const bytecode::Place place = pc < f->places.size() ? f->places[pc] : bytecode::Place();
      return missing_name(event, name, place);
    }
  }
  return std::nullopt;
}

}  // namespace

Lowered lower_capture(const Handler& handler, uint32_t handler_index, const World& world,
                      const ssa::EventGroup& group, const Options& options, Linkage& linkage) {
  KTAP_CHECK(!group.events.empty());
  const schema::Event& event = *group.events.front();
  const std::string name = function_name(handler_index, group) + " capture";
  bool filter_in_kernel = true;
  EventNames names;
  collect_names(handler.function, world, names);
  if (!tells_events_apart(names)) {
    if (auto mistake = find_mistake(handler.function, world, event)) return *std::move(mistake);
  }
  std::optional<Lowerer> lowerer;
  {
    Attempt attempt(linkage);
    lowerer.emplace(world, group, options, handler_index, name, linkage);
    lowerer->run_filter(handler.filter);
    if (lowerer->stopped()) {
      Lowered why = lowerer->result();
      attempt.take_back();
      if (std::holds_alternative<EventMistake>(why)) return why;
      filter_in_kernel = false;
      collect_names(handler.filter, world, names);
      lowerer.emplace(world, group, options, handler_index, name, linkage);
    }
  }
  if (handler.function.type == runtime::Type::Function)
    lowerer->at(handler.function.closure()->function->place);
  if (lowerer->reachable()) {
    Capturer capturer(*lowerer, options);
    add_all(capturer, event, names);
    capturer.finish(linkage, filter_in_kernel);
  }
  lowerer->finish();
  Lowered result = lowerer->result();
  KTAP_CHECK(std::holds_alternative<ssa::Function>(result));
  return result;
}

}  // namespace ktap::lower

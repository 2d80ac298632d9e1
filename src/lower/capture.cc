// The kernel's half of a handler that runs in user space: its filter, then one record with
// everything of the event that the VM may ask for. Never refuses: of a filter without a kernel
// form, or on what handlers change, only what comes before that runs in the kernel, and all of it
// in the VM as well.
#include <algorithm>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/limits.h"
#include "lower/attempt.h"
#include "lower/event_names.h"
#include "lower/event_reads.h"
#include "lower/kernel_types.h"
#include "lower/lower.h"
#include "lower/lowerer.h"
#include "ssa/kernel_access.h"

namespace ktap::lower {

namespace {

class Capturer {
 public:
  /// `place` is the handler's.
  Capturer(Lowerer& lowerer, const Options& options, const bytecode::Place& place)
      : lowerer_(lowerer), place_(place) {
    lowerer_.at(place_);
    site_ = lowerer_.new_site(ssa::SiteKind::Capture, operands_);
    if (options.timestamps) {
      CaptureArg ns;
      ns.var = schema::BuiltinVar::Ns;
      capture_.args.push_back(ns);
    }
  }

  /// What code reads at `place`.
  void add(const EventRead& read, const bytecode::Place& place) {
    lowerer_.at(place);
    switch (read.kind) {
      case EventRead::Kind::Var:
        add_var(read.var);
        break;
      case EventRead::Kind::Name:
        add_var(schema::BuiltinVar::Probename);
        break;
      case EventRead::Kind::Field:
        add_field(read.field);
        break;
      case EventRead::Kind::Text:
      case EventRead::Kind::TextFunction:
        site_.raw = ssa::RawEvent::Record;
        break;
      default:
        break;
    }
  }

  /// The same for user_string() or kernel_string() of it.
  void add_string(CaptureArg::Kind kind, const EventRead& read, const StringRead& string) {
    if (read.kind != EventRead::Kind::Field) return;
    lowerer_.at(string.place);
    const uint32_t address = add_field(read.field);
    const ssa::Type type = site_.args[address].type;
    if (ssa::sure_type(type) != ssa::Type::Int) return;
    if (auto at = find(kind, address)) {
      // Read once, as far as the call that asks for most.
      ssa::Inst& inst = lowerer_.inst(operands_[*at]);
      inst.max_bytes = std::max(inst.max_bytes, string.limit_bytes);
      if (inst.op != ssa::Op::KernelText) inst.imm = inst.max_bytes;
      site_.args[*at].max_bytes = inst.max_bytes;
      return;
    }
    CaptureArg arg;
    arg.kind = kind;
    arg.address_arg = address;
    const bool is_kernel = kind == CaptureArg::Kind::KernelString;
    ssa::Inst inst{is_kernel ? ssa::Op::KernelString : ssa::Op::UserString, ssa::Type::MaybeStr,
                   ssa::StrKind::Bytes, string.limit_bytes};
    inst.imm = string.limit_bytes;
    if (type != ssa::Type::Int) {  // what was followed: nil where that led nowhere
      inst.op = ssa::Op::KernelText;
      inst.imm = ssa::TextAccess{0, 0, !is_kernel}.pack();
    }
    inst.operands = {operands_[address]};
    push(arg, lowerer_.emit(std::move(inst)));
  }

  /// buf(): as many bytes as the event itself tells, or a known number.
  void add_bytes(const schema::Event& event, const BytesRead& read) {
    lowerer_.at(read.place);
    const bool is_number = read.count.from == KernelRead::From::Number;
    const std::optional<uint32_t> address = number_arg(event, read.address);
    const std::optional<uint32_t> count = is_number ? std::nullopt : number_arg(event, read.count);
    if (!address || (!count && !is_number)) return;
    CaptureArg arg;
    arg.kind = CaptureArg::Kind::Bytes;
    arg.address_arg = *address;
    if (count) arg.count_arg = *count;
    arg.element = read.count.number;
    push(arg, lowerer_.bytes_at(operands_[*address],
                                count ? operands_[*count] : lowerer_.const_int(read.count.number),
                                limits::kStringBytes));
    site_.args.back().is_raw = true;
  }

  void add_stack(bool is_user, uint32_t frames, const bytecode::Place& place) {
    if (frames == 0) return;
    lowerer_.at(place);
    CaptureArg arg;
    arg.kind = is_user ? CaptureArg::Kind::UserStack : CaptureArg::Kind::KernelStack;
    push(arg, lowerer_.walk_stack(is_user, frames, 0));
  }

  void copy_stack(const bytecode::Place& place) {
    site_.copies_stack = true;
    capture_.copies_stack = true;
    capture_.stack_place = place;
  }

  /// Kernel memory that the code follows, step by step. False after a mistake of the script.
  bool add_memory(const schema::Event& event, const std::vector<KernelRead>& reads) {
    for (const KernelRead& read : reads) {
      lowerer_.at(read.place);
      steps_.push_back(step(event, read));
      if (lowerer_.stopped()) return false;
    }
    return true;
  }

  void finish(Linkage& linkage, bool filter_in_kernel) {
    capture_.filter_in_kernel = filter_in_kernel;
    site_.user_index = static_cast<uint32_t>(linkage.captures.size());
    linkage.captures.push_back(std::move(capture_));
    lowerer_.at(place_);
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

  /// A step of a chain: what it is, and which argument of the record holds it.
  struct Step {
    AbstractValue value;
    std::optional<uint32_t> arg;
  };

  Step step(const schema::Event& event, const KernelRead& read) {
    CaptureArg arg;
    arg.kind = CaptureArg::Kind::Memory;
    Step result;
    const bool is_inner = read.kind == KernelRead::Kind::Member ||
                          read.kind == KernelRead::Kind::Element ||
                          read.kind == KernelRead::Kind::ElementAt;
    if (is_inner) {
      const Step& parent = steps_[static_cast<size_t>(read.parent)];
      AbstractValue key = read.kind == KernelRead::Kind::Member ? AbstractValue::string(read.text)
                                                                : AbstractValue::of(read.number);
      if (read.kind == KernelRead::Kind::ElementAt) {
        const std::optional<uint32_t> index = number_arg(event, read);
        if (!index) return {};
        arg.index_arg = static_cast<int32_t>(*index);
        key = AbstractValue::ssa(operands_[*index]);
      }
      if (lowerer_.is_read_from_memory(parent.value)) {
        lowerer_.no_member(parent.value, key);
        return {};
      }
      // Of what is no pointer, or not known, nothing is read: the VM says so.
      if (!parent.value.is(AbstractValue::Kind::Pointer) || !parent.arg) return {};
      arg.of = parent.value.ctype;
      arg.address_arg = *parent.arg;
      arg.member = read.text;
      arg.element = read.number;
      result.value = lowerer_.typed_index(parent.value, key);
    } else {
      arg.is_root = true;
      result.value = root(event, read);
    }
    if (lowerer_.stopped()) return {};
    AbstractValue plain = lowerer_.plain(result.value);
    if (plain.is(AbstractValue::Kind::Int))
      plain = AbstractValue::ssa(lowerer_.const_int(plain.integer));
    if (!plain.is(AbstractValue::Kind::Ssa)) return result;
    arg.is_pointer = result.value.is(AbstractValue::Kind::Pointer);
    arg.target = result.value.ctype;
    if (read.kind == KernelRead::Kind::Task) {
      arg.kind = CaptureArg::Kind::Var;
      arg.var = schema::BuiltinVar::Curtask;
    }
    result.arg = push(arg, plain.id);
    return result;
  }

  AbstractValue root(const schema::Event& event, const KernelRead& read) {
    if (read.kind == KernelRead::Kind::Task) return lowerer_.current_task();
    if (read.kind == KernelRead::Kind::Event) return pointer_field(event, read);
    if (read.kind == KernelRead::Kind::Constant)
      return AbstractValue::pointer(read.type, {}, read.number);
    if (read.kind == KernelRead::Kind::TaskBytes)
      return lowerer_.task_bytes(AbstractValue::of(read.number), read.text);
    const AbstractValue address = cast_address(event, read);
    if (lowerer_.stopped() || address.is(AbstractValue::Kind::Undefined)) return {};
    return lowerer_.cast({AbstractValue::string(read.text), address});
  }

  /// What Var, Field or Member of the event `read` begins at.
  static EventRead read_from(const schema::Event& event, const KernelRead& read) {
    switch (read.from) {
      case KernelRead::From::Var:
        return read_variable(event, read.from_var);
      case KernelRead::From::Field:
        return read_field(event, read.from_name);
      default:
        return read_member(event, read.from_name);
    }
  }

  /// Of what is no pointer nothing is read.
  AbstractValue pointer_field(const schema::Event& event, const KernelRead& read) {
    const EventRead field = read_from(event, read);
    if (field.kind != EventRead::Kind::Field || !field.is_pointer) return {};
    return lowerer_.pointer_of(field.field, operands_[add_field(field.field)]);
  }

  AbstractValue cast_address(const schema::Event& event, const KernelRead& read) {
    switch (read.from) {
      case KernelRead::From::Number:
        return AbstractValue::of(read.number);
      case KernelRead::From::Symbol:
        return lowerer_.kernel_address(AbstractValue::string(read.from_name));
      case KernelRead::From::Read: {
        const AbstractValue& from = steps_[static_cast<size_t>(read.parent)].value;
        return is_address(from) ? from : AbstractValue();
      }
      case KernelRead::From::Var:
      case KernelRead::From::Field:
      case KernelRead::From::Member:
        break;
    }
    return of_event(read_from(event, read));
  }

  AbstractValue of_event(const EventRead& read) {
    if (read.kind != EventRead::Kind::Field) return {};
    const AbstractValue value = AbstractValue::ssa(operands_[add_field(read.field)]);
    return is_address(value) ? value : AbstractValue();
  }

  /// Which argument of the record is the index; nothing: it may be nil, or no number.
  std::optional<uint32_t> number_arg(const schema::Event& event, const KernelRead& read) {
    const EventRead from = read_from(event, read);
    std::optional<uint32_t> index;
    if (from.kind == EventRead::Kind::Field) {
      index = add_field(from.field);
    } else if (from.kind == EventRead::Kind::Var && from.var != schema::BuiltinVar::Curtask) {
      add_var(from.var);
      index = find(CaptureArg::Kind::Var, static_cast<uint32_t>(from.var));
    }
    if (index && site_.args[*index].type != ssa::Type::Int) return std::nullopt;
    return index;
  }

  bool is_address(const AbstractValue& value) {
    return value.is(AbstractValue::Kind::Pointer) ||
           (value.is(AbstractValue::Kind::Ssa) &&
            ssa::sure_type(lowerer_.inst(value.id).type) == ssa::Type::Int);
  }

  void add_var(schema::BuiltinVar var) {
    if (var == schema::BuiltinVar::Curtask) return;  // with what is read there
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
    const uint32_t number = push(arg, lowerer_.read_event_field(field));
    site_.args[number].is_raw = lowerer_.is_of_bytes(field);
    return number;
  }

  Lowerer& lowerer_;
  const bytecode::Place place_;
  ssa::Site site_;
  CaptureSite capture_;
  std::vector<ssa::ValueId> operands_;
  std::vector<Step> steps_;  ///< of add_memory(), by number
};

void add_strings(Capturer& capturer, const schema::Event& event, CaptureArg::Kind kind,
                 const StringReads& reads) {
  for (const auto& [var, read] : reads.vars) {
    capturer.add_string(kind, read_variable(event, var), read);
  }
  for (const auto& [name, read] : reads.fields) {
    capturer.add_string(kind, read_field(event, name), read);
  }
  for (const auto& [name, read] : reads.members) {
    capturer.add_string(kind, read_member(event, name), read);
  }
}

void add_all(Capturer& capturer, const schema::Event& event, const EventNames& names) {
  const auto var_place = [&names](schema::BuiltinVar var) {
    const auto at = names.var_places.find(var);
    return at == names.var_places.end() ? bytecode::Place() : at->second;
  };
  const auto name_place = [&names](const std::string& name) {
    const auto at = names.name_places.find(name);
    return at == names.name_places.end() ? bytecode::Place() : at->second;
  };
  // Printing the event object is printing argstr.
  if (names.event_escapes) capturer.add(read_variable(event, schema::BuiltinVar::Argstr), {});
  for (schema::BuiltinVar var : names.vars) capturer.add(read_variable(event, var), var_place(var));
  for (const std::string& name : names.fields) {
    capturer.add(read_field(event, name), name_place(name));
  }
  for (const std::string& name : names.members) {
    capturer.add(read_member(event, name), name_place(name));
  }
  add_strings(capturer, event, CaptureArg::Kind::UserString, names.user_strings);
  add_strings(capturer, event, CaptureArg::Kind::KernelString, names.kernel_strings);
  for (const BytesRead& read : names.bytes) capturer.add_bytes(event, read);
  capturer.add_stack(false, names.kernel_frames, names.stack_place);
  capturer.add_stack(true, names.user_frames, names.stack_place);
  if (names.copies_stack()) capturer.copy_stack(names.stack_place);
}

/// Nothing for a kernel without types, or one that hides its addresses: that is told when it is
/// asked for.
std::optional<EventMistake> mistake_in(const KernelName& name, const Machine& machine) {
  std::vector<EventMistake> mistakes;
  if (name.builtin == bytecode::Builtin::Kaddr && machine.symbol) {
    const Result<int64_t> address = machine.symbol(name.text);
    if (!address.ok()) mistakes.push_back(no_kernel_symbol(address.error()));
  }
  const schema::KernelTypes* types =
      name.builtin == bytecode::Builtin::EnumName && machine.types ? machine.types() : nullptr;
  if (types != nullptr) static_cast<void>(enum_type(*types, name.text, &mistakes));
  if (mistakes.empty()) return std::nullopt;
  mistakes.back().span = name.place.span;
  mistakes.back().line = name.place.line;
  return std::move(mistakes.back());
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
  LoopHints hints;
  std::optional<Lowerer> lowerer;
  for (bool settled = false; !settled;) {
    Attempt attempt(linkage);
    hints.restart();
    lowerer.emplace(world, group, options, handler_index, name, linkage, hints);
    lowerer->run_filter(handler.filter);
    settled = !lowerer->wants_restart();
    if (!settled) {
      attempt.take_back();
      continue;
    }
    // A filter on what handlers change has to see what the last run here has left: the kernel is
    // ahead of the VM.
    if (options.unfiltered || lowerer->stopped() || lowerer->reads_what_handlers_change()) {
      attempt.take_back();
      filter_in_kernel = false;
      collect_names(handler.filter, world, names);
      lowerer.emplace(world, group, options, handler_index, name, linkage, hints);
    }
  }
  if (!filter_in_kernel && !options.unfiltered) {
    Attempt attempt(linkage);
    hints.restart();
    lowerer->run_filter_prefix(handler.filter);
    if (lowerer->stopped()) {
      attempt.take_back();
      lowerer.emplace(world, group, options, handler_index, name, linkage, hints);
    }
  }
  bytecode::Place place;
  if (handler.function.type == runtime::Type::Function)
    place = handler.function.closure()->function->place;
  bool is_right = true;
  if (lowerer->reachable()) {
    Capturer capturer(*lowerer, options, place);
    add_all(capturer, event, names);
    is_right = capturer.add_memory(event, names.kernel_reads);
    if (is_right) capturer.finish(linkage, filter_in_kernel);
  }
  for (const KernelName& used : names.kernel_names) {
    if (auto mistake = mistake_in(used, options.machine))
      linkage.mistakes.push_back(std::move(*mistake));
  }
  lowerer->finish();
  Lowered result = lowerer->result();
  KTAP_CHECK(std::holds_alternative<ssa::Function>(result) || !is_right);
  return result;
}

}  // namespace ktap::lower

// Which events a handler sees alike: same kind, and each name that its code mentions means the same
// field, laid out the same. System calls go into few groups; any other tracepoint is a group of its
// own.
#include <fmt/format.h>

#include <map>
#include <string>

#include "lower/event_names.h"
#include "lower/event_reads.h"
#include "lower/lower.h"

namespace ktap::lower {

namespace {

/// Where a field lies, and as what.
void add(std::string& signature, const schema::Field& field) {
  signature +=
      fmt::format(",{},{},{}", field.size_bytes, field.is_signed, static_cast<int>(field.kind));
  const schema::Fetch& fetch = field.fetch;
  signature += fmt::format(",{},{},{},{},{},{}", static_cast<int>(fetch.base), fetch.at,
                           fetch.index_at, fetch.index_scale, fetch.shift_bits, fetch.width_bits);
  for (const schema::FetchStep& step : fetch.steps)
    signature +=
        fmt::format(",{}{}:{}", step.is_user ? "u" : "k", step.offset_bytes, step.size_bytes);
}

void add(std::string& signature, const schema::Event& event, const EventRead& read) {
  signature += fmt::format("|{}:{}", static_cast<int>(read.kind), read.boolean);
  if (read.kind != EventRead::Kind::Field && read.kind != EventRead::Kind::Opaque) return;
  const schema::Field& field = event.fields[read.field];
  signature += fmt::format(",{}", read.field);
  // A trampoline is one function's.
  if (read.field >= event.own_fields()) signature += fmt::format("@{}", fmt::ptr(&event));
  if (read.is_pointer) signature += fmt::format(",{}*{}", field.target.id, field.target.pointers);
  add(signature, field);
}

/// The event's text is wanted, which all fields are in.
bool wants_text(const EventNames& names) {
  return names.event_escapes || names.vars.count(schema::BuiltinVar::Argstr) != 0 ||
         names.members.count("tostring") != 0;
}

/// Equal for events that the handler sees alike.
std::string signature_of(const schema::Event& event, const EventNames& names,
                         const ProbeSharing& sharing) {
  std::string signature = fmt::format("{}", static_cast<int>(event.kind));
  // The kernel tells which point of a probe it is at; not so of samples.
  const bool is_probe =
      schema::gives_registers(event.kind) && event.kind != schema::EventKind::Sample;
  const bool is_shared = is_probe && sharing.has_attach_cookies &&
                         (sharing.has_entry_probes || !schema::is_kernel_function(event) ||
                          event.point.offset_bytes != 0);
  if (!schema::is_syscall(event.kind) && !is_shared) {
    signature += fmt::format("{}:{}", event.system, event.name);
    // One name may be several places of a file, or one function with other fetch arguments.
    if (is_probe) signature += fmt::format("@{}", fmt::ptr(&event));
    return signature;
  }
  if (is_probe) signature += event.point.path.empty() ? "|kernel" : "|user";
  if (is_probe && event.point.is_traceable) signature += "|traceable";
  if (is_probe && event.point.path.empty() && event.point.offset_bytes != 0)
    signature += "+" + std::to_string(event.point.offset_bytes);  // its address is a number
  if (is_probe && wants_text(names)) {
    for (size_t i = 0; i < event.own_fields(); ++i) add(signature, event.fields[i]);
  }
  for (schema::BuiltinVar var : names.vars) add(signature, event, read_variable(event, var));
  for (const std::string& name : names.fields) add(signature, event, read_field(event, name));
  for (const std::string& name : names.members) add(signature, event, read_member(event, name));
  return signature;
}

}  // namespace

std::vector<ssa::EventGroup> group_events(const Handler& handler, const World& world,
                                          const std::vector<schema::EventPtr>& events,
                                          const ProbeSharing& sharing, ssa::Module& module) {
  EventNames names;
  collect_names(handler.function, world, names);
  collect_names(handler.filter, world, names);
  std::vector<ssa::EventGroup> groups;
  std::map<std::string, size_t> by_signature;
  for (const schema::EventPtr& event : events) {
    const auto [place, is_new] =
        by_signature.try_emplace(signature_of(*event, names, sharing), groups.size());
    if (is_new) {
      groups.emplace_back();
      groups.back().kind = event->kind;
    }
    ssa::EventGroup& group = groups[place->second];
    group.events.push_back(event);
    group.name_ids.push_back(module.intern(event->name));
  }
  return groups;
}

}  // namespace ktap::lower

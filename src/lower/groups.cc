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

void add(std::string& signature, const schema::Event& event, const EventRead& read) {
  signature += fmt::format("|{}:{}", static_cast<int>(read.kind), read.boolean);
  if (read.kind != EventRead::Kind::Field && read.kind != EventRead::Kind::Opaque) return;
  const schema::Field& field = event.fields[read.field];
  signature += fmt::format(",{},{},{},{}", read.field, field.size_bytes, field.is_signed,
                           static_cast<int>(field.kind));
  signature += fmt::format(",{},{}", static_cast<int>(field.fetch.base), field.fetch.at);
}

/// Equal for events that the handler sees alike.
std::string signature_of(const schema::Event& event, const EventNames& names,
                         bool has_attach_cookies) {
  std::string signature = fmt::format("{}", static_cast<int>(event.kind));
  // The kernel tells which point of a probe it is at; not so of samples.
  const bool is_probe =
      schema::gives_registers(event.kind) && event.kind != schema::EventKind::Sample;
  if (!schema::is_syscall(event.kind) && !(is_probe && has_attach_cookies))
    return signature + event.system + ":" + event.name;
  if (is_probe) signature += event.point.path.empty() ? "|kernel" : "|user";
  for (schema::BuiltinVar var : names.vars) add(signature, event, read_variable(event, var));
  for (const std::string& name : names.fields) add(signature, event, read_field(event, name));
  for (const std::string& name : names.members) add(signature, event, read_member(event, name));
  return signature;
}

}  // namespace

std::vector<ssa::EventGroup> group_events(const Handler& handler, const World& world,
                                          const std::vector<schema::EventPtr>& events,
                                          bool has_attach_cookies, ssa::Module& module) {
  EventNames names;
  collect_names(handler.function, world, names);
  collect_names(handler.filter, world, names);
  std::vector<ssa::EventGroup> groups;
  std::map<std::string, size_t> by_signature;
  for (const schema::EventPtr& event : events) {
    const auto [place, is_new] =
        by_signature.try_emplace(signature_of(*event, names, has_attach_cookies), groups.size());
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

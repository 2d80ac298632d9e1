// `--explain`: the plan in words. One paragraph a handler, in source order, then the tables.
#include <fmt/format.h>

#include <set>

#include "session/plan.h"

namespace ktap::session {

namespace {

std::string place(const diag::Source& source, const diag::Span& span, uint32_t line) {
  if (span.end > span.begin) {
    const diag::LineColumn at = source.line_column(span.begin);
    return fmt::format("{}:{}:{}", source.name(), at.line, at.column);
  }
  return line == 0 ? std::string() : fmt::format("{}:{}", source.name(), line);
}

std::string attachment(const Plan& plan, uint32_t handler) {
  std::set<std::string> points;
  size_t instructions = 0;
  size_t programs = 0;
  for (const bpf::Program& program : plan.unit.programs) {
    if (program.handler != handler) continue;
    ++programs;
    instructions += program.code.size();
    points.insert(program.kind == bpf::ProgramKind::RawTracepoint
                      ? "raw tracepoint " + program.attach_to
                      : "tracepoint " + program.attach_to);
  }
  std::string text = fmt::format("{} program{}, {} instructions, ", programs,
                                 programs == 1 ? "" : "s", instructions);
  if (points.size() > 4) return text + fmt::format("on {} tracepoints", points.size());
  bool first = true;
  for (const std::string& point : points) {
    text += (first ? "on " : ", ") + point;
    first = false;
  }
  return text;
}

std::string captured(const Plan& plan, const PlannedHandler& handler, uint32_t index) {
  std::set<std::string> names;
  uint32_t most_bytes = 0;
  bool filtered = true;
  const ssa::Module& module = plan.linkage.module;
  for (uint32_t site = 0; site < module.sites.size(); ++site) {
    if (module.sites[site].kind != ssa::SiteKind::Capture || plan.owners[site].handler != index)
      continue;
    const PlannedGroup& group = handler.groups[plan.owners[site].group];
    const lower::CaptureSite& capture = plan.linkage.captures[module.sites[site].user_index];
    most_bytes = std::max(most_bytes, plan.unit.sites[site].size_bytes);
    filtered = filtered && capture.filter_in_kernel;
    if (module.sites[site].raw == ssa::RawEvent::Record) names.insert("argstr");
    for (const lower::CaptureArg& arg : capture.args) {
      switch (arg.kind) {
        case lower::CaptureArg::Kind::Var:
          names.insert(std::string(schema::builtin_var_name(arg.var)));
          break;
        case lower::CaptureArg::Kind::Field:
          names.insert("args." + group.group.events.front()->fields[arg.field].name);
          break;
        case lower::CaptureArg::Kind::UserString:
          names.insert("user_string()");
          break;
        case lower::CaptureArg::Kind::KernelString:
          names.insert("kernel_string()");
          break;
      }
    }
  }
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
  std::string text = fmt::format("  sends {}, {} bytes a record\n",
                                 list.empty() ? "nothing but the event" : list, most_bytes);
  if (!filtered) text += "  the filter runs in user space too\n";
  return text;
}

std::string key_text(const std::vector<ssa::KeyPart>& key) {
  std::string text;
  for (const ssa::KeyPart& part : key) {
    if (!text.empty()) text += ", ";
    switch (part.kind) {
      case ssa::KeyPart::Kind::Int:
        text += "integer";
        break;
      case ssa::KeyPart::Kind::Bool:
        text += "boolean";
        break;
      case ssa::KeyPart::Kind::StrId:
        text += "known string";
        break;
      case ssa::KeyPart::Kind::Bytes:
        text += fmt::format("string of {} bytes", part.max_bytes);
        break;
    }
  }
  return text;
}

std::string explain_handler(const Plan& plan, uint32_t index, const Registration& registration,
                            const diag::Source& source, const std::string& at) {
  const PlannedHandler& handler = plan.handlers[index];
  std::string text = fmt::format("{}: trace {} ({} event{})\n", at, registration.event_text,
                                 handler.events.size(), handler.events.size() == 1 ? "" : "s");
  if (handler.in_kernel) {
    text += "  in the kernel\n";
  } else {
    const std::string why = place(source, handler.reason.span, handler.reason.line);
    text += fmt::format("  in user space: {}{}\n", handler.reason.text,
                        why.empty() ? "" : " (" + why + ")");
    text += captured(plan, handler, index);
  }
  return text + "  " + attachment(plan, index) + "\n";
}

}  // namespace

std::string explain(const Plan& plan, const std::vector<Registration>& registrations,
                    const diag::Source& source) {
  std::string text;
  uint32_t next = 0;  // of plan.handlers, which are the event handlers in order
  for (uint32_t i = 0; i < registrations.size(); ++i) {
    const Registration& registration = registrations[i];
    std::string at = place(source, registration.place.span, registration.place.line);
    if (at.empty()) at = source.name();  // stripped
    if (registration.kind == bytecode::HandlerKind::Event) {
      text += explain_handler(plan, next, registration, source, at);
      ++next;
      continue;
    }
    text += fmt::format(
        "{}: {}\n  in user space, {}\n", at,
        registration.kind == bytecode::HandlerKind::End ? "trace_end" : registration.event_text,
        registration.kind == bytecode::HandlerKind::End ? "at the end" : "by the event loop");
  }
  for (uint32_t i = 0; i < plan.linkage.module.tables.size(); ++i) {
    const backend::Table& table = plan.unit.tables[i];
    if (plan.linkage.variables[i].valid()) {
      text += fmt::format("variable {}: {}; an entry of a hash map\n",
                          plan.linkage.module.tables[i].name, key_text({table.value}));
      continue;
    }
    text += fmt::format(
        "table {}: key {}{}; {}\n", plan.linkage.module.tables[i].name, key_text(table.key),
        table.value == ssa::KeyPart{} ? "" : ", value " + key_text({table.value}),
        table.layout == backend::TableLayout::Delta ? "per-CPU counts, merged on read"
                                                    : "one hash map that all CPUs share");
  }
  for (const std::string& cell : plan.linkage.module.cells) {
    text += fmt::format("variable {}: a word that kernel and user space share\n", cell);
  }
  return text;
}

}  // namespace ktap::session

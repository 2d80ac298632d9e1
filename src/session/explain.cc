// `--explain`: the plan in words. One paragraph a handler, in source order, line by line
// (explain_lines.cc), then the tables (explain_tables.cc).
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "session/explain.h"
#include "session/plan.h"

namespace ktap::session {

namespace {

/// Other kernel memory is read through this pointer.
bool is_way(const lower::CaptureSite& capture, size_t arg) {
  return std::any_of(capture.args.begin(), capture.args.end(), [&](const lower::CaptureArg& other) {
    return other.kind == lower::CaptureArg::Kind::Memory && !other.is_root &&
           other.address_arg == arg;
  });
}

/// "curtask.mm.exe_file".
std::string memory_name(const lower::CaptureSite& capture, const schema::Event& event, size_t arg) {
  const lower::CaptureArg& of = capture.args[arg];
  if (of.kind == lower::CaptureArg::Kind::Field) return "args." + event.fields[of.field].name;
  if (of.kind == lower::CaptureArg::Kind::Var) return std::string(schema::builtin_var_name(of.var));
  if (of.is_root) return "cast()";
  const std::string parent = memory_name(capture, event, of.address_arg);
  if (!of.member.empty()) return fmt::format("{}.{}", parent, of.member);
  const std::string index = of.index_arg < 0
                                ? std::to_string(of.element)
                                : memory_name(capture, event, static_cast<size_t>(of.index_arg));
  return fmt::format("{}[{}]", parent, index);
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
    if (capture.copies_stack) names.insert("ustack(\"dwarf\")");
    for (size_t i = 0; i < capture.args.size(); ++i) {
      const lower::CaptureArg& arg = capture.args[i];
      switch (arg.kind) {
        case lower::CaptureArg::Kind::Var:
          if (!is_way(capture, i)) names.insert(std::string(schema::builtin_var_name(arg.var)));
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
        case lower::CaptureArg::Kind::Bytes:
          names.insert("buf()");
          break;
        case lower::CaptureArg::Kind::KernelStack:
          names.insert("stack()");
          break;
        case lower::CaptureArg::Kind::UserStack:
          names.insert("ustack()");
          break;
        case lower::CaptureArg::Kind::Memory:
          if (!is_way(capture, i))
            names.insert(memory_name(capture, *group.group.events.front(), i));
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

std::string explain_handler(const Plan& plan, uint32_t index,
                            const std::vector<Registration>& registrations,
                            const diag::Source& source, const std::string& at) {
  const Registration& registration = registrations[plan.handlers[index].registration];
  const PlannedHandler& handler = plan.handlers[index];
  std::string text = fmt::format("{}: trace {} ({} event{})\n", at, registration.event_text,
                                 handler.events.size(), handler.events.size() == 1 ? "" : "s");
  if (handler.in_kernel) {
    text += "  in the kernel\n";
  } else {
    const std::string why = place_text(source, handler.reason.span, handler.reason.line);
    text += fmt::format("  in user space: {}{}\n", handler.reason.text,
                        why.empty() ? "" : " (" + why + ")");
    text += captured(plan, handler, index);
  }
  return text + explain_programs(plan, index, registrations) +
         explain_lines(plan, index, registration, source);
}

}  // namespace

std::string place_text(const diag::Source& source, const diag::Span& span, uint32_t line) {
  if (span.end > span.begin) {
    const diag::LineColumn at = source.line_column(span.begin);
    return fmt::format("{}:{}:{}", source.name(), at.line, at.column);
  }
  return line == 0 ? std::string() : fmt::format("{}:{}", source.name(), line);
}

std::string explain(const Plan& plan, const std::vector<Registration>& registrations,
                    const diag::Source& source) {
  std::string text;
  uint32_t next = 0;  // of plan.handlers, which are the event handlers in order
  for (uint32_t i = 0; i < registrations.size(); ++i) {
    const Registration& registration = registrations[i];
    std::string at =
        place_text(source, registration.handler.place.span, registration.handler.place.line);
    if (at.empty()) at = source.name();  // stripped
    if (registration.kind == bytecode::HandlerKind::Event) {
      text += explain_handler(plan, next, registrations, source, at);
      ++next;
      continue;
    }
    text += fmt::format(
        "{}: {}\n  in user space, {}\n", at,
        registration.kind == bytecode::HandlerKind::End ? "trace_end" : registration.event_text,
        registration.kind == bytecode::HandlerKind::End ? "at the end" : "by the event loop");
  }
  return text + explain_tables(plan);
}

}  // namespace ktap::session

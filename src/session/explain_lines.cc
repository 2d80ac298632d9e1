// A handler line by line for `--explain`: source text with what became of it. The lines are those
// that have bytecode, and those of called functions whose code was put into the handler's.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

#include "backend/cost.h"
#include "session/explain.h"

namespace ktap::session {

namespace {

constexpr size_t kMostColumns = 88;  // of a source line; what follows is cut

struct LineCode {
  uint32_t instructions = 0;
  uint32_t picoseconds = 0;  // in the program where it takes longest
};

/// By line; 0 is what comes before the script's own code.
std::map<uint32_t, LineCode> code_by_line(const Plan& plan, uint32_t handler) {
  std::map<uint32_t, LineCode> lines;
  for (const bpf::Program& program : plan.unit.programs) {
    if (!program.serves(handler)) continue;
    for (const backend::LineCost& cost : backend::line_costs(program, plan.unit.maps)) {
      if (cost.handler != handler && cost.handler != bpf::kNoHandler) continue;
      LineCode& line = lines[cost.line];
      line.instructions += cost.instructions;
      line.picoseconds = std::max(line.picoseconds, cost.picoseconds);
    }
  }
  return lines;
}

void add_lines(const bytecode::Function& function, std::set<uint32_t>& lines) {
  for (const bytecode::Place& place : function.places) {
    if (place.line != 0) lines.insert(place.line);
  }
  for (const auto& child : function.children) add_lines(*child, lines);
}

std::set<uint32_t> own_lines(const lower::Handler& handler) {
  std::set<uint32_t> lines;
  for (const runtime::Value& value : {handler.filter, handler.function}) {
    if (value.type == runtime::Type::Function) add_lines(*value.closure()->function, lines);
  }
  return lines;
}

size_t indent_of(std::string_view text) {
  return std::min(text.find_first_not_of(" \t"), text.size());
}

/// A line of nothing but brackets says nothing.
bool is_worth_showing(std::string_view text) {
  return text.find_first_not_of("{}()[]; \t\r") != std::string_view::npos;
}

/// Never within a UTF-8 sequence.
std::string cut(std::string_view text) {
  if (text.size() <= kMostColumns) return std::string(text);
  size_t end = kMostColumns;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return std::string(text.substr(0, end)) + "...";
}

std::string nanoseconds(uint32_t picoseconds) {
  return picoseconds < 10000 ? fmt::format("{:.1f}", picoseconds / 1000.0)
                             : fmt::format("{}", (picoseconds + 500) / 1000);
}

/// Record bytes by line of the sites that belong to the handler; a capture has no line of its own.
std::map<uint32_t, std::set<uint32_t>> record_bytes(const Plan& plan, uint32_t handler) {
  std::map<uint32_t, std::set<uint32_t>> bytes;
  const std::vector<ssa::Site>& sites = plan.linkage.module.sites;
  for (uint32_t site = 0; site < sites.size() && site < plan.unit.sites.size(); ++site) {
    if (plan.owners[site].handler == handler && sites[site].kind != ssa::SiteKind::Capture)
      bytes[sites[site].line].insert(plan.unit.sites[site].size_bytes);
  }
  return bytes;
}

std::string bytes_text(const std::set<uint32_t>& bytes) {
  std::string text;
  for (const uint32_t count : bytes) text += (text.empty() ? "" : ", ") + std::to_string(count);
  return text;
}

constexpr const char* kMargin =
    "                                        ";  // before what is below a line

std::string row(std::string_view where, const LineCode* code, const std::string& text) {
  const std::string cost = code == nullptr ? std::string(23, ' ')
                                           : fmt::format("{:>6} insns {:>7} ns", code->instructions,
                                                         nanoseconds(code->picoseconds));
  return fmt::format("    {:<7}{} {}\n", where, cost, text);
}

class Lines {
 public:
  Lines(const Plan& plan, uint32_t handler, const Registration& registration,
        const diag::Source& source)
      : handler_(plan.handlers[handler]), registration_(registration), source_(source) {
    code_ = code_by_line(plan, handler);
    records_ = record_bytes(plan, handler);
  }

  std::string text() {
    const std::set<uint32_t> own = own_lines(registration_.handler);
    std::string out;
    if (code_.count(0) != 0) {
      out += row("kernel", &code_.at(0),
                 own.empty() ? "     | (all of it: a stripped script has no lines)"
                             : "     | (before the script's code)");
    }
    add(own, out);
    std::set<uint32_t> called;  // functions whose code was put into this one
    for (const auto& [line, code] : code_) {
      if (line != 0 && own.count(line) == 0) called.insert(line);
    }
    add(called, out);
    return out;
  }

 private:
  void add(const std::set<uint32_t>& lines, std::string& out) {
    size_t indent = std::string_view::npos;
    for (const uint32_t line : lines) {
      if (is_worth_showing(source_.line_text(line)))
        indent = std::min(indent, indent_of(source_.line_text(line)));
    }
    for (const uint32_t line : lines) out += line_text(line, indent);
  }

  std::string line_text(uint32_t line, size_t indent) {
    std::string_view source = source_.line_text(line);
    source.remove_prefix(std::min(indent, indent_of(source)));
    source = source.substr(0, source.find_last_not_of(" \t\r") + 1);
    const auto code = code_.find(line);
    const bool is_reason =
        !handler_.in_kernel && handler_.reason.line == line && !is_of_another(handler_.reason.span);
    if (!is_worth_showing(source) && code == code_.end() && !is_reason) return "";
    std::string out = row(where(code != code_.end()), code == code_.end() ? nullptr : &code->second,
                          fmt::format("{:>4} | {}", line, cut(source)));
    if (const auto sent = records_.find(line); sent != records_.end())
      out += fmt::format("{}sends {} bytes a record\n", kMargin, bytes_text(sent->second));
    if (is_reason) out += fmt::format("{}this keeps the handler out of the kernel\n", kMargin);
    return out;
  }

  std::string_view where(bool has_code) const {
    if (handler_.in_kernel) return "kernel";
    return has_code ? "both" : "user";
  }

  /// A reason that stands at the head of the handler is one of another handler.
  bool is_of_another(const diag::Span& reason) const {
    return reason.end > reason.begin && reason.begin == registration_.handler.place.span.begin;
  }

  const PlannedHandler& handler_;
  const Registration& registration_;
  const diag::Source& source_;
  std::map<uint32_t, LineCode> code_;
  std::map<uint32_t, std::set<uint32_t>> records_;
};

/// Lines of the handlers that share a program with this one.
std::string neighbours(const Plan& plan, const std::set<uint32_t>& handlers,
                       const std::vector<Registration>& registrations) {
  std::set<uint32_t> lines;
  for (const uint32_t handler : handlers)
    lines.insert(registrations[plan.handlers[handler].registration].handler.place.line);
  if (lines.empty()) return "";
  if (*lines.begin() == 0) {  // stripped
    const bool is_one = handlers.size() == 1;
    return fmt::format("  shares a program with {} other handler{}\n", handlers.size(),
                       is_one ? "" : "s");
  }
  return fmt::format("  shares a program with {} {}\n", lines.size() == 1 ? "line" : "lines",
                     fmt::join(lines, ", "));
}

std::string attachments(const std::set<std::string>& points) {
  if (points.size() > 4) return fmt::format("on {} tracepoints", points.size());
  std::string text;
  for (const std::string& point : points) text += (text.empty() ? "on " : ", ") + point;
  return text;
}

}  // namespace

std::string explain_programs(const Plan& plan, uint32_t handler,
                             const std::vector<Registration>& registrations) {
  std::set<std::string> points;
  std::set<uint32_t> others;
  size_t programs = 0;
  size_t instructions = 0;
  uint32_t stack = 0;
  uint32_t picoseconds = 0;
  uint64_t verified = 0;
  bool calls_back = false;
  for (size_t i = 0; i < plan.unit.programs.size(); ++i) {
    const bpf::Program& program = plan.unit.programs[i];
    if (!program.serves(handler)) continue;
    const std::vector<uint32_t> handlers = program.handlers();
    others.insert(handlers.begin(), handlers.end());
    ++programs;
    calls_back =
        calls_back ||
        std::any_of(program.callbacks.begin(), program.callbacks.end(), [&](uint32_t insn) {
          return program.handler_at(insn) != bpf::kNoHandler;  // those of no handler empty tables
        });
    instructions += handlers.size() == 1 ? program.code.size() : program.instructions_of(handler);
    stack = std::max(stack, backend::stack_bytes(program));
    if (i < plan.verified_instructions.size()) verified += plan.verified_instructions[i];
    uint32_t sum = 0;
    for (const backend::LineCost& cost : backend::line_costs(program, plan.unit.maps))
      sum += cost.handler == handler || cost.handler == bpf::kNoHandler ? cost.picoseconds : 0;
    picoseconds = std::max(picoseconds, sum);
    points.insert(fmt::format("{} {}", bpf::kind_name(program.kind), program.attach_to));
  }
  std::string text = fmt::format("  {} program{}, {} instructions, {}\n", programs,
                                 programs == 1 ? "" : "s", instructions, attachments(points));
  others.erase(handler);
  text += neighbours(plan, others, registrations);
  if (calls_back) text += "  loops by bpf_loop: each round is a call\n";
  text += fmt::format("  about {} ns an event, {} bytes of stack", nanoseconds(picoseconds), stack);
  if (verified != 0) text += fmt::format("; the verifier walked {} instructions", verified);
  return text + "\n";
}

std::string explain_lines(const Plan& plan, uint32_t handler, const Registration& registration,
                          const diag::Source& source) {
  return Lines(plan, handler, registration, source).text();
}

}  // namespace ktap::session

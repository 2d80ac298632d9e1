// Probes, maps and words of other tracers in ktap's spelling. Works on text: what it cannot read it
// leaves alone. Sources: the manuals of bpftrace, DTrace and SystemTap.
#include "syntax/foreign.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/chars.h"

namespace ktap::syntax {
namespace {

struct Entry {
  std::string_view word;
  std::string_view hint;
};

constexpr Entry kStatements[] = {
#define KTAP_FOREIGN_STATEMENT(word, hint) {word, hint},
#include "syntax/foreign_words.def"
};

constexpr Entry kNames[] = {
#define KTAP_FOREIGN_NAME(word, ktap) {word, ktap},
#include "syntax/foreign_words.def"
};

template <size_t N>
std::string_view look_up(const Entry (&entries)[N], std::string_view word) {
  for (const Entry& entry : entries) {
    if (entry.word == word) return entry.hint;
  }
  return {};
}

bool starts_with(std::string_view text, std::string_view head) {
  return text.substr(0, head.size()) == head;
}

bool ends_with(std::string_view text, std::string_view tail) {
  return text.size() >= tail.size() && text.substr(text.size() - tail.size()) == tail;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  size_t begin = 0;
  for (size_t end = text.find(at); end != std::string_view::npos; end = text.find(at, begin)) {
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  parts.push_back(text.substr(begin));
  return parts;
}

bool is_one_of(std::string_view word, std::initializer_list<std::string_view> words) {
  for (const std::string_view one : words) {
    if (one == word) return true;
  }
  return false;
}

/// Text that could be a name, a path or a glob of one: no blanks, no brackets but a glob's.
bool is_plain(std::string_view text) {
  return !text.empty() && text.find_first_of(" \t\n(){}=,;\"'") == std::string_view::npos;
}

std::string timer(std::string_view keyword, std::string_view unit, std::string_view count) {
  if (unit.empty() || count.empty() || !is_digit(count[0])) return {};
  return fmt::format("{}-{}{}", keyword, count, unit);
}

/// `kprobe:vfs_read`, `tracepoint:sched:sched_switch`, `interval:s:1`.
std::string from_bpftrace(const std::vector<std::string_view>& parts) {
  const std::string_view provider = parts[0];
  const std::string_view last = parts.back();
  const size_t count = parts.size();
  if (count < 2 || !is_plain(last)) return {};
  const std::string_view rest(parts[1].data(),
                              static_cast<size_t>(last.data() + last.size() - parts[1].data()));
  if (is_one_of(provider, {"kprobe", "k", "kfunc", "fentry"}))
    return fmt::format("trace probe:{}", last);
  if (is_one_of(provider, {"kretprobe", "kr", "kretfunc", "fexit"}))
    return fmt::format("trace probe:{}%return", last);
  if (is_one_of(provider, {"tracepoint", "rawtracepoint", "t", "rt"}))
    return count == 3 ? fmt::format("trace {}:{}", parts[1], last) : std::string();
  if (is_one_of(provider, {"uprobe", "u"}) && count >= 3)
    return fmt::format("trace probe:{}", rest);
  if (is_one_of(provider, {"uretprobe", "ur"}) && count >= 3)
    return fmt::format("trace probe:{}%return", rest);
  if (is_one_of(provider, {"usdt", "U"}) && count >= 3) return fmt::format("trace sdt:{}", rest);
  if (is_one_of(provider, {"interval", "i"}) && count == 3) return timer("tick", parts[1], last);
  if (is_one_of(provider, {"profile", "p"}) && count == 3) return timer("profile", parts[1], last);
  if (is_one_of(provider, {"hardware", "h"})) return fmt::format("trace hardware:{}", rest);
  if (is_one_of(provider, {"software", "s"})) return fmt::format("trace software:{}", rest);
  if (is_one_of(provider, {"watchpoint", "w"}) && count == 4)
    return fmt::format("trace mem:{}/{}:{}", parts[1], parts[2], last);
  return {};
}

/// `syscall::read:entry`, `fbt::vfs_read:return`, `profile:::tick-1sec`.
std::string from_dtrace(const std::vector<std::string_view>& parts) {
  if (parts.size() != 4) return {};
  const std::string_view provider = parts[0];
  const std::string_view function = parts[2].empty() ? "*" : parts[2];
  const std::string_view name = parts[3];
  const bool returns = name == "return";
  if (provider == "dtrace" && name == "END") return "trace_end";
  if (is_one_of(provider, {"profile", "tick"}) && starts_with(name, "tick-"))
    return std::string(name);
  if (provider == "profile" && starts_with(name, "profile-") && name.size() > 8) {
    const bool bare = is_digit(name.back());
    return fmt::format("{}{}", name, bare ? "hz" : "");
  }
  if (provider == "sched" && is_one_of(name, {"on-cpu", "off-cpu"}))
    return "trace sched:sched_switch";
  if (provider == "proc" && name == "exec-success") return "trace sched:sched_process_exec";
  if (provider == "proc" && name == "exit") return "trace sched:sched_process_exit";
  if (provider == "proc" && name == "create") return "trace sched:sched_process_fork";
  if (provider == "io" && name == "start") return "trace block:block_rq_issue";
  if (provider == "io" && name == "done") return "trace block:block_rq_complete";
  if (!returns && name != "entry") return {};
  if (provider == "syscall")
    return fmt::format("trace syscalls:sys_{}_{}", returns ? "exit" : "enter", function);
  if (provider == "fbt") return fmt::format("trace probe:{}{}", function, returns ? "%return" : "");
  if (starts_with(provider, "pid"))
    return fmt::format("trace probe:{}:{}{}", parts[1], function, returns ? "%return" : "");
  return {};
}

/// The text between `head` and the quote or parenthesis behind it: `kernel.function("x")` → x.
std::string_view argument(std::string_view text, std::string_view head) {
  const size_t at = text.find(head);
  if (at == std::string_view::npos) return {};
  std::string_view rest = text.substr(at + head.size());
  const size_t end = rest.find_first_of("\")");
  if (end == std::string_view::npos) return {};
  rest = rest.substr(0, end);
  return rest.substr(0, rest.find('@'));  // function@file
}

/// "" when there is nothing before the tail.
std::string_view without_tail(std::string_view text, std::string_view tail) {
  return ends_with(text, tail) ? text.substr(0, text.size() - tail.size()) : std::string_view();
}

/// What stands behind SystemTap's `probe`.
std::string from_systemtap(std::string_view text) {
  const bool returns = ends_with(text, ".return");
  const char* tail = returns ? "%return" : "";
  if (text == "end") return "trace_end";
  if (starts_with(text, "timer.profile")) return "profile-99hz";
  if (starts_with(text, "timer.")) {
    const std::string_view unit = text.substr(6, text.find('(') - 6);
    return timer("tick", unit, argument(text, "("));
  }
  if (starts_with(text, "syscall.")) {
    std::string_view name = text.substr(8);
    if (returns) name = without_tail(name, ".return");
    if (!is_plain(name)) return {};
    return fmt::format("trace syscalls:sys_{}_{}", returns ? "exit" : "enter", name);
  }
  if (starts_with(text, "vfs.")) {
    std::string_view name = text.substr(4);
    if (returns) name = without_tail(name, ".return");
    return is_plain(name) ? fmt::format("trace probe:vfs_{}{}", name, tail) : std::string();
  }
  const std::string_view function = argument(text, "function(\"");
  const std::string_view process = argument(text, "process(\"");
  if (starts_with(text, "kernel.trace")) {
    const std::string_view name = argument(text, "trace(\"");
    if (!is_plain(name)) return {};
    const bool with_system = name.find(':') != std::string_view::npos;
    return fmt::format("trace {}{}", with_system ? "" : "*:", name);
  }
  if (starts_with(text, "kernel.function") || starts_with(text, "module("))
    return is_plain(function) ? fmt::format("trace probe:{}{}", function, tail) : std::string();
  if (starts_with(text, "process(") && is_plain(process)) {
    const std::string_view mark = argument(text, "mark(\"");
    if (is_plain(mark)) return fmt::format("trace sdt:{}:{}", process, mark);
    if (is_plain(function)) return fmt::format("trace probe:{}:{}{}", process, function, tail);
  }
  return {};
}

/// `text` with whole words of other tracers replaced by ktap's, where that is one word; `->` and
/// `@` as ktap writes them.
std::string with_ktap_names(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    size_t end = i;
    while (end < text.size() && is_name_part(text[end])) ++end;
    if (end == i) {
      const bool arrow = text.substr(i, 2) == "->";
      const bool nameless = text.substr(i, 2) == "@[";
      if (arrow || text[i] == '@') {
        out += arrow ? "." : nameless ? "t" : "";
      } else {
        out += text[i];
      }
      i += arrow ? 2 : 1;
      continue;
    }
    const std::string_view word = text.substr(i, end - i);
    const std::string_view ktap = look_up(kNames, word);
    const bool member = !out.empty() && out.back() == '.';
    const bool replace = !member && !ktap.empty() && ktap.find(' ') == std::string_view::npos &&
                         ktap.find("(p") == std::string_view::npos;
    out += replace ? ktap : word;
    if (replace && ends_with(ktap, "()") && text.substr(end, 2) == "()") end += 2;
    i = end;
  }
  return out;
}

/// Behind the bracket at `open` that closes with the one there, or npos.
size_t skip_brackets(std::string_view text, size_t open) {
  int depth = 0;
  for (size_t at = open; at < text.size(); ++at) {
    if (text[at] == '[' || text[at] == '(') ++depth;
    if (text[at] == ']' || text[at] == ')') --depth;
    if (depth == 0) return at + 1;
  }
  return std::string_view::npos;
}

/// The first argument of `= hist(x, 1)` in ktap's words, "n" when it cannot be read.
std::string sample_of(std::string_view call) {
  const size_t open = call.find('(');
  const size_t end = skip_brackets(call, open);
  if (end == std::string_view::npos) return "n";
  std::string_view inside = call.substr(open + 1, end - open - 2);
  int depth = 0;
  for (size_t at = 0; at < inside.size(); ++at) {
    if (inside[at] == '[' || inside[at] == '(') ++depth;
    if (inside[at] == ']' || inside[at] == ')') --depth;
    if (depth == 0 && inside[at] == ',') inside = inside.substr(0, at);
  }
  inside = trimmed(inside);
  return inside.empty() ? "n" : with_ktap_names(inside);
}

}  // namespace

std::string_view foreign_statement(std::string_view word) { return look_up(kStatements, word); }

std::string_view foreign_name(std::string_view name) { return look_up(kNames, name); }

std::string cast_hint(std::string_view text) {
  const size_t close = text.find(')');
  if (text.empty() || text[0] != '(' || close == std::string_view::npos) return {};
  const std::string_view type = trimmed(text.substr(1, close - 1));
  std::string_view bare = type;
  while (!bare.empty() && (bare.back() == '*' || is_blank(bare.back()))) bare.remove_suffix(1);
  const bool is_pointer = bare.size() < type.size();
  const std::vector<std::string_view> words = split(bare, ' ');
  const bool is_struct = words.size() == 2 && is_one_of(words[0], {"struct", "union"});
  for (const std::string_view word : words) {
    const bool is_type =
        ends_with(word, "_t") ||
        is_one_of(word, {"int",   "long",   "short", "char",  "unsigned", "signed", "bool",
                         "float", "double", "void",  "const", "size_t",   "u8",     "u16",
                         "u32",   "u64",    "s8",    "s16",   "s32",      "s64",    "int8",
                         "int16", "int32",  "int64", "uint8", "uint16",   "uint32", "uint64"});
    if (!is_type && !is_struct) return {};
  }
  if (is_pointer) return fmt::format("a pointer to kernel memory is cast(\"{}\", x)", type);
  if (is_struct) return {};
  return fmt::format("numbers are not cast, integers have 64 bits: leave out ({})", type);
}

std::string ktap_probe(std::string_view head) {
  head = trimmed(head);
  if (starts_with(head, "probe ")) return from_systemtap(trimmed(head.substr(6)));
  if (head == "END") return "trace_end";
  const std::vector<std::string_view> parts = split(head, ':');
  if (parts.size() < 2) return {};
  std::string made = from_dtrace(parts);
  return made.empty() ? from_bpftrace(parts) : made;
}

std::string map_hint(std::string_view text, std::string_view before) {
  size_t at = 1;
  while (at < text.size() && is_name_part(text[at])) ++at;
  const std::string name = at > 1 ? std::string(text.substr(1, at - 1)) : "t";
  const size_t name_end = at;
  std::string key;
  const size_t line_end = text.find('\n');
  text = text.substr(0, line_end);
  if (at < text.size() && text[at] == '[') {
    const size_t end = skip_brackets(text, at);
    if (end != std::string_view::npos) key = with_ktap_names(text.substr(at, end - at));
    at = std::min(end, text.size());
  }
  const std::string_view rest = at < text.size() ? trimmed(text.substr(at)) : std::string_view();
  const std::string declared = fmt::format("`{} = {{}}` in the main chunk", name);
  if (key.size() > 2 && ends_with(trimmed(before), "delete(") && starts_with(rest, ")"))
    return fmt::format("write `delete({}, {})`, with {}", name, key.substr(1, key.size() - 2),
                       declared);
  if (starts_with(rest, "++") || (starts_with(rest, "=") && argument(rest, "count(").data())) {
    if (key.empty()) return fmt::format("write `{0} += 1`, with `{0} = 0` in the main chunk", name);
    return fmt::format("write `{}{} += 1`, with {}", name, key, declared);
  }
  for (const std::string_view reader :
       {"hist(", "lhist(", "quantize(", "lquantize(", "sum(", "avg(", "min(", "max(", "stats("}) {
    if (!starts_with(rest, "=") || !starts_with(trimmed(rest.substr(1)), reader)) continue;
    const std::string sample = sample_of(rest);
    if (key.empty())
      return fmt::format("write `{0} <<< {1}`, with `{0} = aggr()` in the main chunk", name,
                         sample);
    return fmt::format("write `{}{} <<< {}`, with {}", name, key, sample, declared);
  }
  if (key.empty() && name_end == 1)
    return "there are no '@' aggregations: use a table, `t[k] += 1` or `t[k] <<< n`";
  if (key.empty()) return fmt::format("variables have no '@': write `{}`", name);
  return fmt::format("write `{}{}`, with {}", name, key, declared);
}

std::string dollar_hint(std::string_view text) {
  size_t end = 1;
  while (end < text.size() && is_name_part(text[end])) ++end;
  const std::string_view word = text.substr(1, end - 1);
  if (text.substr(0, 2) == "$#") return "the number of the script's arguments is len(arg) - 1";
  if (word.empty()) return "variables have no '$' before their name";
  if (is_digit(word[0])) return fmt::format("an argument of the script is arg[{}]", word);
  if (word == "retval" || word == "return") return "the result of a call is `retval`";
  if (word == "target") return "the target is given by -p PID or -- CMD";
  return fmt::format("an argument of the event is args.{0}; a variable is `{0}`, declared by `var`",
                     word);
}

}  // namespace ktap::syntax

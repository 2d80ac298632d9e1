// See events.h. The events look like the kernel's own, but for their numbers, which no kernel has:
// a call with one can be made with any arguments, and does nothing.
#include "handlers/events.h"

#include <cerrno>
#include <cstdlib>
#include <sstream>

#include "base/glob.h"
#include "event/provider.h"

namespace ktap::differential {
namespace {

using schema::Event;
using schema::EventKind;
using schema::EventPtr;
using schema::Field;
using schema::FieldKind;

struct Argument {
  const char* name;
  const char* c_type;
  uint32_t size_bytes;
  bool is_signed;
};
struct Call {
  const char* name;
  int64_t number;
  std::vector<Argument> arguments;
};

const std::vector<Call>& calls() {
  static const std::vector<Call> kCalls = {
      {"read",
       500,
       {{"fd", "unsigned int", 4, false},
        {"buf", "char *", 8, false},
        {"count", "size_t", 8, false}}},
      {"close", 503, {{"fd", "unsigned int", 4, false}}},
      {"lseek",
       508,
       {{"fd", "unsigned int", 4, false},
        {"offset", "off_t", 8, true},
        {"whence", "unsigned int", 4, false}}},
      {"getppid", 510, {}},
      {"openat",
       507,
       {{"dfd", "int", 4, true},
        {"filename", "const char *", 8, false},
        {"flags", "int", 4, true},
        {"mode", "umode_t", 2, false}}},
  };
  return kCalls;
}

Field number_field() { return {"__syscall_nr", "int", FieldKind::Int, 0, 4, true}; }

EventPtr make_event(const Call& call, bool enters) {
  auto event = std::make_shared<Event>();
  event->system = "syscalls";
  event->name = std::string(enters ? "sys_enter_" : "sys_exit_") + call.name;
  event->kind = enters ? EventKind::SyscallEnter : EventKind::SyscallExit;
  event->syscall_nr = call.number;
  event->fields.push_back(number_field());
  if (!enters) event->fields.push_back({"ret", "long", FieldKind::Int, 0, 8, true});
  for (const Argument& argument : call.arguments) {
    if (!enters) break;
    const bool points = std::string_view(argument.c_type).find('*') != std::string_view::npos;
    event->fields.push_back({argument.name, argument.c_type,
                             points ? FieldKind::Pointer : FieldKind::Int, 0, argument.size_bytes,
                             argument.is_signed});
  }
  return event;
}

const std::vector<EventPtr>& events() {
  static const std::vector<EventPtr> kEvents = [] {
    std::vector<EventPtr> all;
    for (const Call& call : calls()) {
      all.push_back(make_event(call, true));
      all.push_back(make_event(call, false));
    }
    return all;
  }();
  return kEvents;
}

EventPtr find_event(const std::string& name) {
  for (const EventPtr& event : events()) {
    if (event->name == name) return event;
  }
  return nullptr;
}

uint64_t word_of(const std::string& text, uint64_t kernel_paths) {
  if (text.empty()) return 0;
  if (text == "bad") return 8;
  if (text.compare(0, 5, "path:") == 0) {
    const size_t number = std::strtoul(text.c_str() + 5, nullptr, 10) % paths().size();
    return reinterpret_cast<uint64_t>(path_memory(number).data());
  }
  if (text.compare(0, 7, "kernel:") == 0) {
    return kernel_paths +
           joined_offset(std::strtoul(text.c_str() + 7, nullptr, 10) % paths().size());
  }
  if (text[0] == '-') return static_cast<uint64_t>(std::strtoll(text.c_str(), nullptr, 0));
  return std::strtoull(text.c_str(), nullptr, 0);
}

bool matches(const Event& event, const std::string& glob) {
  return glob_match(glob, event.system + ":" + event.name);
}

}  // namespace

std::vector<Happening> happenings_of(const std::string& script, uint64_t kernel_paths,
                                     bool attached) {
  std::vector<Happening> all;
  std::istringstream lines(script);
  for (std::string line; std::getline(lines, line);) {
    const size_t at = line.find("#on: ");
    if (at == std::string::npos || line.find_first_not_of(' ') != at) continue;
    std::istringstream words(line.substr(at + 5));
    std::string kind, name, word;
    words >> kind >> name;
    Happening happening;
    if (kind == "thread" || kind == "cpu") {
      happening.kind = kind == "cpu" ? Happening::Kind::Cpu : Happening::Kind::Thread;
      happening.words[0] = word_of(name, kernel_paths);
    } else if (kind != "tick") {
      happening.kind = kind == "enter" ? Happening::Kind::Enter : Happening::Kind::Exit;
      happening.event = find_event("sys_" + kind + "_" + name);
      if (happening.event == nullptr) continue;
      happening.words[0] = static_cast<uint64_t>(happening.event->syscall_nr);
      for (size_t i = 1; i < 7 && words >> word; ++i)
        happening.words[i] = word_of(word, kernel_paths);
    }
    const bool enters = happening.kind == Happening::Kind::Enter;
    if (attached && happening.kind == Happening::Kind::Exit) continue;
    all.push_back(happening);
    if (!attached || !enters) continue;
    happening.kind = Happening::Kind::Exit;
    happening.event = find_event("sys_exit_" + name);
    happening.words[1] = static_cast<uint64_t>(-ENOSYS);
    all.push_back(std::move(happening));
  }
  return all;
}

std::vector<EventPtr> match_events(std::string_view event_text) {
  const std::vector<event::Pattern> patterns = event::split_patterns(event_text);
  std::vector<EventPtr> out;
  for (const EventPtr& event : events()) {
    bool in = false;
    bool excluded = false;
    for (const event::Pattern& pattern : patterns) {
      std::string text = pattern.text;
      if (pattern.exclude && text.find(':') == std::string::npos) text = "*:" + text;
      if (!matches(*event, text)) continue;
      (pattern.exclude ? excluded : in) = true;
    }
    if (in && !excluded) out.push_back(event);
  }
  return out;
}

const std::vector<std::string>& paths() {
  static const std::vector<std::string> kPaths = {
      "",
      "a",
      "/etc/passwd",
      "/tmp/abcdefghij",   // 15 bytes
      "/tmp/abcdefghijk",  // 16 bytes
      "/dev/null",
      "abc",
      "x y\tz\xc3\xa9",
      std::string(63, 'm'),
      std::string(64, 'n'),
      std::string(255, 'p'),
      std::string(256, 'q'),
      "/usr/" + std::string(300, 'r') + ".so",
  };
  return kPaths;
}

std::string joined_paths() {
  std::string all;
  for (size_t i = 0; i < paths().size(); ++i) all += path_memory(i);
  return all;
}

size_t joined_offset(size_t number) {
  size_t offset = 0;
  for (size_t i = 0; i < number; ++i) offset += path_memory(i).size();
  return offset;
}

std::string_view path_memory(size_t number) {
  const std::string& path = paths()[number];
  return {path.c_str(), path.size() + 1};
}

}  // namespace ktap::differential

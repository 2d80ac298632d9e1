// argstr of system calls, in the seeds' form.
#include <algorithm>

#include "event/render.h"

namespace ktap::event {

namespace {

// By hand: at full system call rate this is most of a line's cost.
void append_hex(std::string* out, uint64_t value) {
  char digits[16];
  size_t count = 0;
  do {
    digits[count++] = "0123456789abcdef"[value & 15];
    value >>= 4;
  } while (value != 0);
  while (count > 0) out->push_back(digits[--count]);
}

uint64_t cut_to(uint64_t value, uint32_t size_bytes) {
  return size_bytes >= 8 ? value : value & ((uint64_t{1} << (8 * size_bytes)) - 1);
}

/// "sys_read" of "sys_enter_read" or "sys_exit_read".
void append_name(std::string* out, const std::string& name) {
  for (const std::string_view head : {"sys_enter_", "sys_exit_"}) {
    if (name.compare(0, head.size(), head) == 0) {
      *out += "sys_";
      out->append(name, head.size());
      return;
    }
  }
  *out += name;
}

}  // namespace

std::string syscall_text(const schema::Event& event, const uint64_t* words) {
  std::string out;
  append_name(&out, event.name);
  if (event.kind == schema::EventKind::SyscallExit ||
      event.kind == schema::EventKind::ProbeReturn) {
    out += " -> 0x";
    append_hex(&out, cut_to(words[1], sizeof(long)));
    return out;
  }
  out += '(';
  constexpr size_t kMostArguments = 6;
  size_t last = event.fields.size();
  if (event.kind == schema::EventKind::SyscallEnter) last = std::min(last, 1 + kMostArguments);
  for (size_t i = 1; i < last; ++i) {
    const schema::Field& field = event.fields[i];
    if (i > 1) out += ", ";
    out += field.name;
    out += ": ";
    append_hex(&out, cut_to(words[i], field.size_bytes));
  }
  out += ')';
  return out;
}

}  // namespace ktap::event

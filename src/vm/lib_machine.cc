// Library: the machine and its names: CPUs, kernel, system calls, errors, signals; and the ansi
// library.
#include <algorithm>
#include <cstdint>
#include <iterator>
#include <string>

#include <fmt/core.h>

#include "runtime/number.h"
#include "runtime/value.h"
#include "vm/library.h"
#include "vm/names.h"

namespace ktap::vm {
namespace {

using runtime::Value;

struct NumberName {
  int64_t number;
  const char* name;
};

constexpr NumberName kErrnos[] = {
#define KTAP_ERRNO(name, number) {number, #name},
#include "vm/errnos.def"
#undef KTAP_ERRNO
};

constexpr NumberName kSignals[] = {
#define KTAP_SIGNAL(name, number) {number, #name},
#include "vm/signals.def"
#undef KTAP_SIGNAL
};

constexpr int64_t kFirstRealTime = 34;  // what C programs know as SIGRTMIN
constexpr int64_t kLastSignal = 64;

template <size_t N>
const char* find_name(const NumberName (&names)[N], int64_t number) {
  for (const NumberName& it : names) {
    if (it.number == number) return it.name;
  }
  return "";
}

std::string signal_name(int64_t number) {
  if (number == kFirstRealTime) return "SIGRTMIN";
  if (number > kFirstRealTime && number < kLastSignal)
    return fmt::format("SIGRTMIN+{}", number - kFirstRealTime);
  if (number == kLastSignal) return "SIGRTMAX";
  return find_name(kSignals, number);
}

/// Writes an escape sequence with the integer arguments joined by `;`.
bool set_color(NativeCall& call, std::string_view name) {
  std::string sequence = "\033[";
  for (size_t i = 0; i < call.count; ++i) {
    int64_t number = 0;
    if (!call.integer_arg(name, i, &number)) return false;
    if (i > 0) sequence += ';';
    sequence += std::to_string(number);
  }
  call.machine.host().write(sequence + "m");
  return true;
}

bool write(NativeCall& call, std::string_view text) {
  call.machine.host().write(text);
  return true;
}

}  // namespace

std::vector<std::string> errno_names() {
  std::vector<std::string> names;
  for (const NumberName& it : kErrnos) {
    const auto number = static_cast<size_t>(it.number);
    names.resize(std::max(names.size(), number + 1));
    if (names[number].empty()) names[number] = it.name;  // the first one of a number
  }
  return names;
}

std::vector<std::string> signal_names() {
  std::vector<std::string> names;
  for (int64_t number = 0; number <= kLastSignal; ++number) names.push_back(signal_name(number));
  return names;
}

namespace lib {

bool NumCpus(NativeCall& call) { return call.give(Value::of(call.machine.host().cpu_count())); }
bool Arch(NativeCall& call) { return call.give(call.machine.host().machine()); }
bool KernelV(NativeCall& call) { return call.give(call.machine.host().kernel_release()); }

bool SyscallName(NativeCall& call) {
  int64_t number = 0;
  return call.integer_arg("syscall_name", 0, &number) &&
         call.give_or_nil(call.machine.host().syscall_name(number));
}

bool ErrnoName(NativeCall& call) {
  int64_t number = 0;
  if (!call.integer_arg("errno_name", 0, &number)) return false;
  // Results of system calls are negative errors; both signs are understood.
  return call.give_or_nil(find_name(kErrnos, number < 0 ? runtime::wrap_sub(0, number) : number));
}

bool SignalName(NativeCall& call) {
  int64_t number = 0;
  return call.integer_arg("signal_name", 0, &number) && call.give_or_nil(signal_name(number));
}

bool AnsiClearScreen(NativeCall& call) { return write(call, "\033[H\033[J"); }
bool AnsiSetColor(NativeCall& call) { return set_color(call, "ansi.set_color"); }
bool AnsiSetColor2(NativeCall& call) { return set_color(call, "ansi.set_color2"); }
bool AnsiSetColor3(NativeCall& call) { return set_color(call, "ansi.set_color3"); }
bool AnsiResetColor(NativeCall& call) { return write(call, "\033[0;0m"); }
bool AnsiNewLine(NativeCall& call) { return write(call, "\n"); }

}  // namespace lib
}  // namespace ktap::vm

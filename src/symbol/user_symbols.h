// An address of a process → "malloc+0x12 (libc.so.6)". Asked after the fact, off the hot path: the
// process may have ended since. Its maps are read when it is first named (or by remember()), and
// kept after its end, and after it has run another program. Of one that has ended before, they are
// what the kernel told of it (watch()).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/paths.h"
#include "base/result.h"

namespace ktap::symbol {

struct NamedFile;

/// A process, and which of the programs that it has run: by the mark that a stack of it carries
/// (base/user_stack.h); 0: that which it runs when it is asked for.
struct UserProgram {
  UserProgram(pid_t process, uint32_t program_mark = 0, uint64_t ran_at_ns = 0)
      : pid(process), mark(program_mark), time_ns(ran_at_ns) {}
  pid_t pid;
  uint32_t mark;
  uint64_t time_ns;  ///< CLOCK_MONOTONIC: it ran then; 0: not known, or told before
};

/// Of whom UserSymbols::watch() keeps what it is told.
struct WatchedProcesses {
  pid_t root = 0;           ///< 0: of all
  bool descendants = true;  ///< of those that it makes too
};

struct UserPlace {
  std::string function;       ///< demangled, without parameters; "" when not known
  uint64_t offset = 0;        ///< from the function's start
  std::string file;           ///< "/usr/lib/libc.so.6", "[vdso]", "[jit]"; "" when not known
  uint64_t address = 0;       ///< in the file as `nm` prints it; the process's own without a file
  std::string source;         ///< "loop.c:42"; "" where no debug information tells
  bool is_inlined = false;    ///< its code stands in the function that comes behind it
  bool may_get_name = false;  ///< it has none, and a JIT compiler may tell one later

  /// "malloc+0x12 (libc.so.6)", "main+0x12 (app) at app.c:42", "clamp [inlined] (app) at app.h:7",
  /// "0x1234 (libc.so.6)", "0x7f0000001234".
  std::string text() const;
  /// "libc.so.6".
  std::string file_name() const { return std::string(base_name(file)); }
};

/// Code of a process that a file holds.
struct UserCode {
  NamedFile* file = nullptr;
  uint64_t address = 0;  ///< in the file, as `nm` prints it
};

class UserSymbols {
 public:
  UserSymbols();
  UserSymbols(UserSymbols&&) noexcept;
  UserSymbols& operator=(UserSymbols&&) noexcept;
  ~UserSymbols();

  /// From here on the kernel tells what programs map: these are named though they have ended before
  /// anyone looked. Errors: no right to it, in words; then nothing is changed.
  Result<void> watch(WatchedProcesses whom);
  bool is_watching() const;
  /// Takes what the kernel has told, so that there is room for more. Cost: 2 us a program.
  void take_records();
  /// How often code was told to have taken the place of other: names that were given before are
  /// none any more.
  uint64_t replacements() const;
  /// What was lost so that names are missing: how many records of the kernel; 0: nothing.
  uint64_t lost_records() const;

  /// What lies at `address`. Code that a process maps later is found when it is first asked for; a
  /// process that runs another program, or another process of that number, is noticed within 100
  /// ms, or where the program is named at once: then its names are its own, or none.
  /// Cost: 2 µs; for the first address of a file what its symbols cost (ElfFile::functions).
  UserPlace name(UserProgram program, uint64_t address);
  /// The same with its source line, behind the functions that were inlined there, innermost first.
  /// Cost: name(), and what SourceLines::at() takes.
  std::vector<UserPlace> places(UserProgram program, uint64_t address);

  /// Whether anything is known of what it has mapped.
  bool knows(UserProgram program);

  /// Whether what is mapped there took the place of other code after the program's time.
  bool came_later(UserProgram program, uint64_t address);

  /// Whether the instruction in front of it is a system call's. False where no file holds it.
  bool is_behind_system_call(UserProgram program, uint64_t address);

  /// Whether code can lie there: not in the first page, nor in the kernel's half of the addresses,
  /// nor above those that a process has. What it asks for high up, where few machines have any,
  /// counts when it has mapped it.
  bool may_be_code(UserProgram program, uint64_t address);

  /// Nothing: no file holds it, or none that can be read; or, where the program's time is known,
  /// other code lay there then.
  std::optional<UserCode> code(UserProgram program, uint64_t address);

  /// Whether it lies where a program's file says that it begins: in its `_start`, which a stripped
  /// one has no name for.
  bool begins_program(UserProgram program, uint64_t address);
  /// The return address is not the caller's: the kernel has put its own there, to see the function
  /// return (`probe:…%return`).
  bool is_return_probe(UserProgram program, uint64_t address);

  /// Reads the maps of the process now, unless they are known: call it when one appears whose
  /// addresses will be named later. Opens no files, but for a process with another root.
  void remember(UserProgram program);
  /// The same, but reads them again when they are known: it may have mapped more.
  void look_again(UserProgram program);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ktap::symbol

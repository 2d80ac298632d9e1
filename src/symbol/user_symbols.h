// An address of a process → "malloc+0x12 (libc.so.6)". Asked after the fact, off the hot path: the
// process may have ended since. Its maps are read when it is first named (or by remember()), and
// kept after its end.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>

namespace ktap::symbol {

struct UserPlace {
  std::string function;  ///< demangled, without parameters; "" when not known
  uint64_t offset = 0;   ///< from the function's start
  std::string file;      ///< "/usr/lib/libc.so.6", "[vdso]", "[jit]"; "" when not known
  uint64_t address = 0;  ///< in the file as `nm` prints it; the process's own without a file

  /// "malloc+0x12 (libc.so.6)", "0x1234 (libc.so.6)", "0x7f0000001234".
  std::string text() const;
};

class UserSymbols {
 public:
  UserSymbols();
  UserSymbols(UserSymbols&&) noexcept;
  UserSymbols& operator=(UserSymbols&&) noexcept;
  ~UserSymbols();

  /// What lies at `address` of process `pid`. Code that a process maps later is found when it is
  /// first asked for; a process that runs another program, or another process of that number, is
  /// noticed within 100 ms.
  /// Cost: 2 µs; for the first address of a file what its symbols cost (ElfFile::functions).
  UserPlace name(pid_t pid, uint64_t address);

  /// Reads the maps of `pid` now, unless they are known: call it when a process appears whose
  /// addresses will be named later. Opens no files, but for a process with another root.
  void remember(pid_t pid);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ktap::symbol
